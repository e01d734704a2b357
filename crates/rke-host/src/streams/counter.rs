//! AES-256 in counter mode over a whole stream: like the session's `encrypt` and `decrypt`, without their size limit.

use rke_proto::cipher::aes256_ctr_from;

use super::{CHUNK_LEN, Nonce, Rest, StreamError, StreamKey, Work};

/// Encrypts or decrypts: in this mode, both are the same operation.
pub struct Counter<K> {
    key: K,
    nonce: Nonce,
    position: u64,
}

impl<K: StreamKey> Counter<K> {
    /// A stream under a fresh random nonce.
    ///
    /// # Errors
    /// [`StreamError::Random`].
    pub fn encrypting(key: K) -> Result<(Self, Nonce), StreamError> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce)?;
        Ok((Self::new(key, nonce), nonce))
    }

    /// A stream whose first counter block is `nonce`.
    pub fn new(key: K, nonce: Nonce) -> Self {
        Self { key, nonce, position: 0 }
    }
}

impl<K: StreamKey> Work for Counter<K> {
    fn output_len(&self, len: u64) -> Option<u64> {
        Some(len)
    }

    /// Does not wait for a whole chunk: what has arrived is processed at once.
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
