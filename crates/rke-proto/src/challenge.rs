//! The challenge that opens every request body: 12 random bytes and their CRC-32.
//! `docs/protocol.md` section 3.

use crate::DecodeError;

/// Length of the random part.
pub const RANDOM_LEN: usize = 12;

/// Length of the whole challenge.
pub const CHALLENGE_LEN: usize = 16;

/// A challenge whose CRC matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Challenge([u8; CHALLENGE_LEN]);

impl Challenge {
    /// The challenge over 12 random bytes.
    pub fn new(random: [u8; RANDOM_LEN]) -> Self {
        let mut bytes = [0; CHALLENGE_LEN];
        bytes[..RANDOM_LEN].copy_from_slice(&random);
        bytes[RANDOM_LEN..].copy_from_slice(&crc32fast::hash(&random).to_be_bytes());
        Self(bytes)
    }

    /// Checks a received challenge.
    ///
    /// # Errors
    /// [`DecodeError::Mismatch`] if the CRC-32 differs.
    pub fn decode(bytes: [u8; CHALLENGE_LEN]) -> Result<Self, DecodeError> {
        let mut random = [0; RANDOM_LEN];
        random.copy_from_slice(&bytes[..RANDOM_LEN]);
        let challenge = Self::new(random);
        if challenge.0 != bytes {
            return Err(DecodeError::Mismatch("the challenge's CRC-32"));
        }
        Ok(challenge)
    }

    /// The 16 bytes of the wire.
    pub fn as_bytes(&self) -> &[u8; CHALLENGE_LEN] {
        &self.0
    }
}
