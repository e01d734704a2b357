//! What a share and a key belong to: Content Server ID, key set, client SN and timestamp.
//! `docs/protocol.md` sections 1, 5 and 6.

use std::fmt;
use std::num::NonZeroU8;

/// Length of the zero-padded field that holds a Content Server ID on the wire.
pub const CSID_LEN: usize = 16;

/// Longest Content Server ID in text. The wire has the first 16 bytes: public records use IDs that
/// are longer than their field, `CLOUDCOIN_CONTENT` for one.
pub const MAX_TEXT_LEN: usize = 32;

/// A Content Server ID: 1 to 32 bytes of printable ASCII, without spaces. Two IDs are equal if their first 16 bytes
/// are, because a RAIDA sees only those.
#[derive(Clone, Copy)]
pub struct ContentServerId {
    text: [u8; MAX_TEXT_LEN],
    len: u8,
}

impl ContentServerId {
    /// The ID in a text, or `None` if the text is not a valid ID.
    pub fn new(text: &str) -> Option<Self> {
        Self::of_printable(text.as_bytes())
    }

    fn of_printable(bytes: &[u8]) -> Option<Self> {
        let is_printable = bytes.iter().all(u8::is_ascii_graphic);
        if bytes.is_empty() || bytes.len() > MAX_TEXT_LEN || !is_printable {
            return None;
        }
        let mut padded = [0; MAX_TEXT_LEN];
        padded[..bytes.len()].copy_from_slice(bytes);
        Some(Self { text: padded, len: bytes.len() as u8 })
    }

    /// The ID in a zero-padded field of the wire, or `None` if it is not a valid ID.
    pub fn from_padded(field: [u8; CSID_LEN]) -> Option<Self> {
        let len = field.iter().position(|byte| *byte == 0).unwrap_or(CSID_LEN);
        let (text, padding) = field.split_at(len);
        if padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        Self::of_printable(text)
    }

    /// The ID in an unpadded field of the wire: the whole text.
    pub fn from_wire_text(text: &[u8]) -> Option<Self> {
        Self::of_printable(text)
    }

    /// The ID in the form of the wire: cut or zero-padded to 16 bytes.
    pub fn padded(&self) -> &[u8; CSID_LEN] {
        self.text.first_chunk().unwrap_or_else(|| unreachable!("the text is longer than the field"))
    }

    /// The same ID in lower case, as some clients of the public network send it.
    pub fn lower_case(mut self) -> Self {
        self.text.make_ascii_lowercase();
        self
    }

    /// The whole ID as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl PartialEq for ContentServerId {
    fn eq(&self, other: &Self) -> bool {
        self.padded() == other.padded()
    }
}

impl Eq for ContentServerId {}

impl std::hash::Hash for ContentServerId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.padded().hash(state);
    }
}

impl fmt::Display for ContentServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContentServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of a key set, 1 to 255; `k1` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeySetId(NonZeroU8);

impl KeySetId {
    /// The key set `value`, unless it is 0.
    pub fn new(value: u8) -> Option<Self> {
        NonZeroU8::new(value).map(Self)
    }

    /// The key set in text: `k1` to `k255`, the `k` in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['k', 'K'])?;
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().and_then(Self::new)).flatten()
    }

    /// The number on the wire.
    pub fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for KeySetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.0)
    }
}

/// Five random bytes that the client draws for each exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientSn(pub [u8; 5]);

/// What a share is derived for. All RAIDAs of one exchange get the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyContext {
    /// The Content Server that the key is shared with.
    pub cs_id: ContentServerId,
    pub key_set: KeySetId,
    /// The client's number for this exchange.
    pub client_sn: ClientSn,
    /// The start of the exchange, in Unix seconds.
    pub timestamp: u64,
}

#[cfg(test)]
mod tests;
