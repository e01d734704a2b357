//! Streams of data under a session's key. The key is looked up, exposed and wiped away anew for each
//! chunk: a session that ends stops its streams, never waits for them, and leaves nothing in them.

mod counter;
mod sealed;

pub use counter::Counter;
pub use sealed::{Opening, Sealing};

use std::sync::Arc;

use rke_proto::seal::{OpenError, SealError};

use crate::sessions::Sessions;
use crate::store::{KeyUse, SessionId};

/// Most bytes that are worked on under the key at one time: what a deletion may have to wait for.
const CHUNK_LEN: usize = rke_proto::seal::CHUNK_LEN;

/// Why a stream cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// There is no such session, or not any more.
    #[error("Session not found or expired")]
    NotFound,
    /// What came is not what was sealed.
    #[error("Cannot open this: {0}")]
    Open(#[from] OpenError),
    /// There is too much of it.
    #[error("Cannot seal this: {0}")]
    Seal(#[from] SealError),
    /// The system's generator fails.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Whether more of a stream will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It may.
    Follows,
    /// All of it is there.
    Ended,
}

/// What is done with a stream.
pub trait Work {
    /// How long the output is where the input has `len` bytes, if that can be told.
    fn output_len(&self, len: u64) -> Option<u64>;

    /// Takes bytes from the front of `input` and gives the next piece of output. `None` once all of
    /// `input` is taken and nothing can be made of it yet, or at the end ever.
    ///
    /// # Errors
    /// [`StreamError`]; there is no more output then.
    fn next(&mut self, input: &mut &[u8], rest: Rest) -> Result<Option<Vec<u8>>, StreamError>;
}

/// Does the work on data that is all there.
///
/// # Errors
/// [`StreamError`]; then nothing is given.
pub fn whole(mut work: impl Work, mut input: &[u8]) -> Result<Vec<u8>, StreamError> {
    let mut output = Vec::new();
    while let Some(piece) = work.next(&mut input, Rest::Ended)? {
        output.extend(piece);
    }
    Ok(output)
}

/// The use of a session's key by one stream.
pub struct StreamKey {
    sessions: Arc<Sessions>,
    id: SessionId,
}

impl StreamKey {
    /// Counts as one use of the session, however long the stream.
    ///
    /// # Errors
    /// [`StreamError::NotFound`].
    pub fn begin(sessions: Arc<Sessions>, id: SessionId, key_use: KeyUse) -> Result<Self, StreamError> {
        let key = Self { sessions, id };
        key.expose_for(key_use, |_| ())?;
        Ok(key)
    }

    /// Works on one chunk.
    fn expose<R>(&self, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, StreamError> {
        self.expose_for(KeyUse::Chunk, work)
    }

    fn expose_for<R>(&self, key_use: KeyUse, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, StreamError> {
        self.sessions.store().with_key(self.id, key_use, work).ok_or(StreamError::NotFound)
    }
}
