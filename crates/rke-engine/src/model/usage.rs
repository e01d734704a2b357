//! How much a key has encrypted, counted over all sessions that hold it, and how much it may. Past that
//! a nonce could repeat by chance, or ciphertexts could be told from random ones.

use std::sync::atomic::{AtomicU64, Ordering};

/// Most messages under one key: with random nonces of 16 bytes, the chance that two of so many are
/// equal is below 2^-64.
pub const MAX_MESSAGES: u64 = 1 << 32;

/// Most bytes under one key: far below the 2^68 from which blocks of 16 bytes would repeat.
pub const MAX_BYTES: u64 = 1 << 50;

/// What a key may encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageLimits {
    /// Most messages.
    pub messages: u64,
    /// Most bytes.
    pub bytes: u64,
}

impl Default for UsageLimits {
    fn default() -> Self {
        Self { messages: MAX_MESSAGES, bytes: MAX_BYTES }
    }
}

/// A key has encrypted as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "This session's key has encrypted as much as one key may; open a new session, which has a key of its own"
)]
pub struct UsedUp;

/// What a key has encrypted so far.
#[derive(Debug, Default)]
pub struct Usage {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Usage {
    /// Messages and bytes.
    pub fn so_far(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Whether nothing more may be encrypted.
    pub fn is_used_up(&self, limits: UsageLimits) -> bool {
        let (messages, bytes) = self.so_far();
        messages >= limits.messages || bytes >= limits.bytes
    }

    /// Counts `messages` (none for the rest of one that is counted) and `bytes`.
    ///
    /// # Errors
    /// [`UsedUp`]; then they must not be encrypted.
    pub fn add(&self, messages: u64, bytes: u64, limits: UsageLimits) -> Result<(), UsedUp> {
        add(&self.messages, messages, limits.messages)?;
        add(&self.bytes, bytes, limits.bytes)
    }
}

fn add(sum: &AtomicU64, more: u64, limit: u64) -> Result<(), UsedUp> {
    let added = |sum: u64| sum.checked_add(more).filter(|sum| *sum <= limit);
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).map(drop).map_err(|_| UsedUp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UsageLimits = UsageLimits { messages: 3, bytes: 100 };

    fn so_far(messages: u64, bytes: u64) -> Usage {
        Usage { messages: messages.into(), bytes: bytes.into() }
    }

    #[test]
    fn messages_and_bytes_are_bounded_exactly() {
        let usage = Usage::default();
        assert_eq!(usage.add(2, 0, LIMITS), Ok(()));
        assert_eq!(usage.add(1, 99, LIMITS), Ok(()));
        assert_eq!(usage.add(1, 0, LIMITS), Err(UsedUp));
        assert!(usage.is_used_up(LIMITS) && !so_far(2, 99).is_used_up(LIMITS));
        assert_eq!(usage.add(0, 1, LIMITS), Ok(()));
        assert_eq!(usage.add(0, 1, LIMITS), Err(UsedUp));
        assert_eq!(usage.so_far(), (3, 100));
    }

    #[test]
    fn what_would_overflow_is_refused() {
        let usage = so_far(u64::MAX, u64::MAX);
        assert_eq!(usage.add(1, 0, UsageLimits { messages: u64::MAX, bytes: u64::MAX }), Err(UsedUp));
        assert_eq!(usage.add(0, 1, UsageLimits { messages: u64::MAX, bytes: u64::MAX }), Err(UsedUp));
    }
}
