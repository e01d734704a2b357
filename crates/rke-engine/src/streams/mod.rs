//! Streams of data under a session's key. The key is looked up, exposed and wiped away anew for each
//! chunk: a session that ends stops its streams, never waits for them, and leaves nothing in them.

mod counter;
mod sealed;

pub use counter::Counter;
pub use sealed::{Opening, Sealing};

use std::sync::Arc;

use rke_proto::seal::{OpenError, SealError};

use crate::model::session_id::SessionId;
use crate::sessions::Sessions;
use crate::store::{KeyError, KeyUse};

/// Most bytes that are worked on under the key at one time: what a deletion may have to wait for.
const CHUNK_LEN: usize = rke_proto::seal::CHUNK_LEN;

/// Why a stream cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The session or its key.
    #[error(transparent)]
    Key(#[from] KeyError),
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

/// What a stream does with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It encrypts or seals.
    Encrypt,
    /// It decrypts or opens.
    Decrypt,
}

/// The use of a session's key by one stream.
pub struct StreamKey {
    sessions: Arc<Sessions>,
    id: SessionId,
    direction: Direction,
}

impl StreamKey {
    /// Counts as one use of the session, however long the stream.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn begin(sessions: Arc<Sessions>, id: SessionId, direction: Direction) -> Result<Self, KeyError> {
        let first = match direction {
            Direction::Encrypt => KeyUse::Encrypt(0),
            Direction::Decrypt => KeyUse::Decrypt,
        };
        sessions.store().touch(id, first)?;
        Ok(Self { sessions, id, direction })
    }

    /// Works on one chunk of `len` bytes with the key of `encrypt`.
    fn expose<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError> {
        self.sessions.store().with_key(self.id, self.more(len), work)
    }

    /// The same with the key of `seal`.
    fn expose_for_sealing<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError> {
        self.sessions.store().with_seal_key(self.id, self.more(len), work)
    }

    fn more(&self, len: usize) -> KeyUse {
        match self.direction {
            Direction::Encrypt => KeyUse::EncryptMore(len),
            Direction::Decrypt => KeyUse::DecryptMore,
        }
    }
}
