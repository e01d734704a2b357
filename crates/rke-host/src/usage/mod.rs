//! What a session's key is used for, how much it has encrypted, counted over all sessions that hold it, and how much it
//! may encrypt. Beyond that, a nonce could repeat by chance, or ciphertexts could be told from random data. Each end
//! counts what it encrypts itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most messages under one key at one end: with random nonces of 16 bytes, the chance that two of them are equal is
/// below 2^-64, and below 2^-62 for the messages of both ends together.
pub const MAX_MESSAGES: u64 = 1 << 32;

/// The most bytes under one key at one end: far below 2^68, from which blocks of 16 bytes would repeat.
pub const MAX_BYTES: u64 = 1 << 50;

/// How much a key may encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageLimits {
    /// The most messages.
    pub messages: u64,
    /// The most bytes.
    pub bytes: u64,
}

impl Default for UsageLimits {
    fn default() -> Self {
        Self { messages: MAX_MESSAGES, bytes: MAX_BYTES }
    }
}

/// A key has reached its encryption limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "This session's key has encrypted as much as one key may; open a new session, which has a key of its own"
)]
pub struct UsedUp;

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Encryption of a message of this many bytes.
    Encrypt(usize),
    /// Decryption.
    Decrypt,
    /// Encryption of this many further bytes of a message that was counted when it began.
    EncryptMore(usize),
    /// Decryption of more of a message.
    DecryptMore,
    /// Encryption of a packet to the Content Server, with this many bytes of data.
    Send(usize),
    /// Decryption of a packet from the Content Server.
    Receive,
    /// Data went through a tunnel under the tunnel's own keys, in either direction.
    Tunnel,
    /// Derivation of a key that leaves the session.
    Export,
}

impl KeyUse {
    /// How many messages and bytes this use encrypts.
    pub fn encrypts(self) -> (u64, u64) {
        match self {
            Self::Encrypt(bytes) | Self::Send(bytes) => (1, bytes as u64),
            Self::EncryptMore(bytes) => (0, bytes as u64),
            Self::Decrypt | Self::DecryptMore | Self::Receive | Self::Tunnel | Self::Export => (0, 0),
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The session does not exist, or has ended.
    #[error("Session not found or expired")]
    NotFound,
    /// The key has reached its encryption limit.
    #[error(transparent)]
    UsedUp(#[from] UsedUp),
    /// Other machines share the session, and this one may not use its copy any longer without asking again.
    #[error("This machine could not confirm in time that the session still exists; try again")]
    NotHeld,
}

/// How much a key has encrypted so far.
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

    /// Has encrypted all that it may, except for this much.
    pub fn all_but(messages: u64, bytes: u64, limits: UsageLimits) -> Self {
        Self {
            messages: AtomicU64::new(limits.messages.saturating_sub(messages)),
            bytes: AtomicU64::new(limits.bytes.saturating_sub(bytes)),
        }
    }

    /// How many messages and bytes may still be encrypted.
    pub fn left(&self, limits: UsageLimits) -> (u64, u64) {
        let (messages, bytes) = self.so_far();
        (limits.messages.saturating_sub(messages), limits.bytes.saturating_sub(bytes))
    }

    /// Lets this much more be encrypted.
    pub fn grant(&self, messages: u64, bytes: u64) {
        for (sum, more) in [(&self.messages, messages), (&self.bytes, bytes)] {
            let less = |sum: u64| Some(sum.saturating_sub(more));
            // The closure never refuses.
            let _ = sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Counts `messages` (0 for the rest of a message that is already counted) and `bytes`.
    ///
    /// # Errors
    /// [`UsedUp`]; then they must not be encrypted.
    pub fn add(&self, messages: u64, bytes: u64, limits: UsageLimits) -> Result<(), UsedUp> {
        add(&self.messages, messages, limits.messages)?;
        add(&self.bytes, bytes, limits.bytes).inspect_err(|UsedUp| {
            // A rejected use takes nothing from what is left.
            self.messages.fetch_sub(messages, Ordering::Relaxed);
        })
    }
}

fn add(sum: &AtomicU64, more: u64, limit: u64) -> Result<(), UsedUp> {
    let added = |sum: u64| sum.checked_add(more).filter(|sum| *sum <= limit);
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).map(drop).map_err(|_| UsedUp)
}

#[cfg(test)]
mod tests;
