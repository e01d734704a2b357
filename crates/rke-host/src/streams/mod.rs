//! Streams of data under a session's key, at either end. The key is looked up, exposed and wiped again for each chunk:
//! a session that ends stops its streams, never waits for them, and leaves nothing in them.

mod counter;
mod sealed;

pub use counter::Counter;
pub use sealed::{Opening, Sealing};

use rke_proto::cipher::BLOCK_LEN;
use rke_proto::seal::{OpenError, SealError};

use crate::usage::{KeyError, KeyUse};

/// The nonce of one encryption: AES-CTR's first counter block. It is random, because both ends encrypt under the same
/// key and know nothing of each other's nonces.
pub type Nonce = [u8; BLOCK_LEN];

/// The most bytes that are processed under the key at one time. A deletion may have to wait for that.
const CHUNK_LEN: usize = rke_proto::seal::CHUNK_LEN;

/// Why a stream cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The session or its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The input is not what was sealed.
    #[error("Cannot open this: {0}")]
    Open(#[from] OpenError),
    /// The input is too long.
    #[error("Cannot seal this: {0}")]
    Seal(#[from] SealError),
    /// The system returned no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Whether more of a stream will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It may.
    Follows,
    /// All of it has arrived.
    Ended,
}

/// What is done with a stream.
pub trait Work {
    /// The length of the output for an input of `len` bytes, if it is known in advance.
    fn output_len(&self, len: u64) -> Option<u64>;

    /// Takes bytes from the front of `input` and returns the next piece of output. `None` if all of `input` is taken
    /// and makes no output yet, and always after the end.
    ///
    /// # Errors
    /// [`StreamError`]; then no more output follows.
    fn next(&mut self, input: &mut &[u8], rest: Rest) -> Result<Option<Vec<u8>>, StreamError>;
}

/// Does the work on complete data.
///
/// # Errors
/// [`StreamError`]; then nothing is returned.
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

impl Direction {
    /// The use that a stream begins with. It counts as one use, however long the stream is.
    pub fn first_use(self) -> KeyUse {
        match self {
            Self::Encrypt => KeyUse::Encrypt(0),
            Self::Decrypt => KeyUse::Decrypt,
        }
    }

    /// The use that a further chunk of `len` bytes is.
    pub fn next_use(self, len: usize) -> KeyUse {
        match self {
            Self::Encrypt => KeyUse::EncryptMore(len),
            Self::Decrypt => KeyUse::DecryptMore,
        }
    }
}

/// The use of a session's key by one stream.
pub trait StreamKey {
    /// Works on one chunk of `len` bytes with the key of `encrypt`.
    ///
    /// # Errors
    /// [`KeyError`], once the key may not be used or no longer exists.
    fn expose<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError>;

    /// Like [`StreamKey::expose`], with the key of `seal`.
    ///
    /// # Errors
    /// As [`StreamKey::expose`].
    fn expose_for_sealing<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError>;
}
