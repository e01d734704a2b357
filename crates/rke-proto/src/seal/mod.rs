//! Sealed streams: data that is encrypted under a session's key and authenticated as a whole, together with associated data
//! in the clear. `docs/seal-format.md` describes every byte and the reasons.

mod cutter;
mod header;
mod stream;

#[cfg(test)]
mod tests;

pub use cutter::Cutter;
pub use header::{HEADER_LEN, SALT_LEN};
pub use stream::{Opener, Sealer};

/// Bytes of plaintext in every chunk except the last, which has at most as many.
pub const CHUNK_LEN: usize = 64 * 1024;

/// Bytes by which a chunk grows when it is sealed: the tag of AES-GCM.
pub const TAG_LEN: usize = 16;

/// Why data cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More chunks than a stream may have.
    #[error("the data is over 256 TiB, which is more than one sealed stream can hold; start another one")]
    TooLong,
    /// The data was cut into chunks differently from what the format prescribes.
    #[error("data of this length cannot be a chunk here")]
    ChunkLength,
}

/// Why sealed data cannot be opened. None of it has been returned in that case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The header is wrong.
    #[error("this is not sealed data")]
    NotSealed,
    /// It was sealed by a later version.
    #[error("the data is sealed in version {0} of the format, and only version 1 is known here")]
    Version(u8),
    /// The header does not belong to this key and this associated data.
    #[error("the data was sealed with another key or with other associated data, or its header was altered")]
    AnotherKey,
    /// A chunk differs from the one that was sealed in its place.
    #[error("the sealed data was altered, or parts of it were left out, moved or put in")]
    Altered,
    /// It ends too early.
    #[error("the sealed data is cut short")]
    CutShort,
    /// More chunks than a stream may have.
    #[error("the sealed data is longer than the format allows")]
    TooLong,
}

/// Length of sealed data that holds `len` bytes. `None` if that overflows.
pub fn sealed_len(len: u64) -> Option<u64> {
    let chunks = len.div_ceil(CHUNK_LEN as u64).max(1);
    len.checked_add(HEADER_LEN as u64)?.checked_add(chunks.checked_mul(TAG_LEN as u64)?)
}

/// Number of bytes in sealed data of length `sealed`. `None` if no sealed data has this length.
pub fn opened_len(sealed: u64) -> Option<u64> {
    let chunks = sealed.checked_sub(HEADER_LEN as u64)?;
    let tags = chunks.div_ceil((CHUNK_LEN + TAG_LEN) as u64).max(1) * TAG_LEN as u64;
    let len = chunks.checked_sub(tags)?;
    (sealed_len(len) == Some(sealed)).then_some(len)
}
