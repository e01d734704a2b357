//! A reader over received bytes that returns arrays and sub-slices and refuses leftovers, so that no decoder works
//! with byte offsets and no length from a peer is used before it is checked.

/// Why received bytes are invalid. Never holds the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the field needs.
    #[error("cut short: {what} needs {needed} more bytes, {left} are left")]
    TooShort {
        /// The field that was being read.
        what: &'static str,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// Bytes after the last field.
    #[error("{0} bytes are left over at the end")]
    Leftover(usize),
    /// A field with a value that it cannot have.
    #[error("{what} cannot be {value}")]
    BadValue {
        what: &'static str,
        /// Its value, which is never secret.
        value: u64,
    },
    /// A constant part that differs, such as a trailer or a challenge's CRC.
    #[error("{0} does not match")]
    Mismatch(&'static str),
}

/// Reads a byte slice from front to back.
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::TooShort {
            what,
            needed: N,
            left: self.0.len(),
        })?;
        self.0 = rest;
        Ok(*head)
    }

    /// The next `len` bytes, in place.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn slice(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(DecodeError::TooShort {
            what,
            needed: len,
            left: self.0.len(),
        })?;
        self.0 = rest;
        Ok(head)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// The next two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// The next four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// The next eight bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::TooShort`].
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`DecodeError::Leftover`] if bytes remain.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Leftover(left)),
        }
    }
}
