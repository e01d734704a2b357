//! The end of a chain of lines.

use sha2::{Digest, Sha256};

/// Length of a hash in bytes.
pub(super) const HASH_LEN: usize = 32;

/// The end of a chain of lines. The default is before its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The number of the last line.
    pub number: u64,
    pub hash: [u8; HASH_LEN],
}

impl Position {
    /// The position after a line with these bytes.
    pub(super) fn after(&self, body: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(self.hash).chain_update(body).finalize();
        Self { number: self.number + 1, hash: hash.into() }
    }
}
