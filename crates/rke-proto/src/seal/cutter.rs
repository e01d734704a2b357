//! Cuts a stream that arrives in pieces of any size into chunks of one size. Only the end of the stream shows which
//! chunk is the last, so a full one waits until more data follows.

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

    /// Takes bytes from the front of `data` until a chunk is full and something follows it, and returns that chunk,
    /// which is never the last. `None` once all of `data` is taken.
    pub fn cut(&mut self, data: &mut &[u8]) -> Option<Vec<u8>> {
        let missing = self.len - self.chunk.len();
        let (now, later) = data.split_at(missing.min(data.len()));
        if self.chunk.is_empty() && !now.is_empty() {
            // With room for a tag, so that sealing does not move the data.
            self.chunk.reserve_exact(self.len + TAG_LEN);
        }
        self.chunk.extend_from_slice(now);
        *data = later;
        (!later.is_empty()).then(|| std::mem::take(&mut self.chunk))
    }

    /// The last chunk, at the end of the stream.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chunk)
    }
}
