//! Cuts a stream that comes in pieces of any size into chunks of one size. The last chunk is known as
//! such only when the end has come, so a full one waits until more follows.

use super::TAG_LEN;

/// Cuts chunks.
pub struct Cutter {
    len: usize,
    chunk: Vec<u8>,
}

impl Cutter {
    /// For chunks of `len` bytes.
    pub fn new(len: usize) -> Self {
        Self { len, chunk: Vec::new() }
    }

    /// Takes bytes from the front of `data` until a chunk is full and something follows it, and gives
    /// that chunk, which is never the last. `None` when all of `data` is taken.
    pub fn cut(&mut self, data: &mut &[u8]) -> Option<Vec<u8>> {
        let missing = self.len - self.chunk.len();
        let (now, later) = data.split_at(missing.min(data.len()));
        if self.chunk.is_empty() && !now.is_empty() {
            // With room for a tag, so that sealing moves nothing.
            self.chunk.reserve_exact(self.len + TAG_LEN);
        }
        self.chunk.extend_from_slice(now);
        *data = later;
        (!later.is_empty()).then(|| std::mem::take(&mut self.chunk))
    }

    /// The last chunk, once the end has come.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chunk)
    }
}
