//! AES-256 in counter mode over a whole stream: what the session's `encrypt` and `decrypt` do, without
//! their limit of size.

use rke_proto::cipher::aes256_ctr_from;

use super::{CHUNK_LEN, Rest, StreamError, StreamKey, Work};
use crate::sessions::Nonce;

/// Encrypts or decrypts: in this mode they are the same.
pub struct Counter {
    key: StreamKey,
    nonce: Nonce,
    position: u64,
}

impl Counter {
    /// A stream under a fresh random nonce.
    ///
    /// # Errors
    /// [`StreamError::Random`].
    pub fn encrypting(key: StreamKey) -> Result<(Self, Nonce), StreamError> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce)?;
        Ok((Self::new(key, nonce), nonce))
    }

    /// A stream whose first counter block is `nonce`.
    pub fn new(key: StreamKey, nonce: Nonce) -> Self {
        Self { key, nonce, position: 0 }
    }
}

impl Work for Counter {
    fn output_len(&self, len: u64) -> Option<u64> {
        Some(len)
    }

    /// Does not wait for a whole chunk: what has come goes on at once.
    fn next(&mut self, input: &mut &[u8], _: Rest) -> Result<Option<Vec<u8>>, StreamError> {
        let (now, later) = input.split_at(input.len().min(CHUNK_LEN));
        if now.is_empty() {
            return Ok(None);
        }
        let mut piece = now.to_vec();
        self.key.expose(piece.len(), |key| aes256_ctr_from(key, &self.nonce, self.position, &mut piece))?;
        self.position += piece.len() as u64;
        *input = later;
        Ok(Some(piece))
    }
}
