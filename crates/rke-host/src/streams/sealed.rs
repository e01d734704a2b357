//! Streams in the sealed format, `docs/seal-format.md`. No byte of an opened chunk is returned before its tag is
//! checked, and the end of the stream is not reported before the chunk that is marked as the last.

use rke_proto::seal::{
    CHUNK_LEN, Cutter, HEADER_LEN, OpenError, Opener, SALT_LEN, Sealer, TAG_LEN, opened_len, sealed_len,
};

use super::{Rest, StreamError, StreamKey, Work};

/// Seals a stream.
pub struct Sealing<K> {
    key: K,
    cutter: Cutter,
    header: Option<[u8; HEADER_LEN]>,
    /// `None` once the last chunk is sealed.
    sealer: Option<Sealer>,
}

impl<K: StreamKey> Sealing<K> {
    /// A stream with a fresh salt.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn new(key: K, associated_data: &[u8]) -> Result<Self, StreamError> {
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt)?;
        let sealer = Sealer::new(&salt, associated_data);
        let header = Some(key.expose_for_sealing(0, |key| sealer.header(key))?);
        Ok(Self { key, cutter: Cutter::new(CHUNK_LEN), header, sealer: Some(sealer) })
    }
}

impl<K: StreamKey> Work for Sealing<K> {
    fn output_len(&self, len: u64) -> Option<u64> {
        sealed_len(len)
    }

    fn next(&mut self, input: &mut &[u8], rest: Rest) -> Result<Option<Vec<u8>>, StreamError> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header.to_vec()));
        }
        let Some(sealer) = &mut self.sealer else { return Ok(None) };
        if let Some(mut chunk) = self.cutter.cut(input) {
            self.key.expose_for_sealing(chunk.len(), |key| sealer.seal(key, &mut chunk))??;
            return Ok(Some(chunk));
        }
        let Some(sealer) = self.sealer.take_if(|_| rest == Rest::Ended) else { return Ok(None) };
        let mut last = self.cutter.finish();
        self.key.expose_for_sealing(last.len(), |key| sealer.seal_last(key, &mut last))??;
        Ok(Some(last))
    }
}

/// Opens a sealed stream.
pub struct Opening<K> {
    key: K,
    cutter: Cutter,
    stage: Stage,
}

enum Stage {
    Header { associated_data: Vec<u8> },
    Chunks(Opener),
    Over,
}

impl<K: StreamKey> Opening<K> {
    /// A stream that was sealed with this associated data.
    pub fn new(key: K, associated_data: Vec<u8>) -> Self {
        Self { key, cutter: Cutter::new(HEADER_LEN), stage: Stage::Header { associated_data } }
    }

    /// Reads the header once it is complete. A stream never ends with its header.
    fn begin(&mut self, input: &mut &[u8], rest: Rest) -> Result<Option<Opener>, StreamError> {
        let Stage::Header { associated_data } = &self.stage else { return Ok(None) };
        match (self.cutter.cut(input), rest) {
            (Some(header), _) => {
                let header = header.first_chunk().ok_or(OpenError::CutShort)?;
                Ok(Some(Opener::new(header, associated_data)?))
            }
            (None, Rest::Follows) => Ok(None),
            (None, Rest::Ended) => Err(OpenError::CutShort.into()),
        }
    }
}

impl<K: StreamKey> Work for Opening<K> {
    fn output_len(&self, len: u64) -> Option<u64> {
        opened_len(len)
    }

    fn next(&mut self, input: &mut &[u8], rest: Rest) -> Result<Option<Vec<u8>>, StreamError> {
        if let Some(opener) = self.begin(input, rest)? {
            self.cutter = Cutter::new(CHUNK_LEN + TAG_LEN);
            self.stage = Stage::Chunks(opener);
        }
        let Stage::Chunks(opener) = &mut self.stage else { return Ok(None) };
        if let Some(mut chunk) = self.cutter.cut(input) {
            self.key.expose_for_sealing(chunk.len(), |key| opener.open(key, &mut chunk))??;
            return Ok(Some(chunk));
        }
        if rest == Rest::Follows {
            return Ok(None);
        }
        let Stage::Chunks(opener) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(None) };
        let mut last = self.cutter.finish();
        self.key.expose_for_sealing(last.len(), |key| opener.open_last(key, &mut last))??;
        Ok(Some(last))
    }
}
