//! What the store takes and tells: sessions before and after their time in it, the rules, the refusals.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rke_proto::handshake::KeyId;

use crate::model::key_origin::KeyOrigin;
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::session_key::SessionKey;
use crate::model::usage::{UsageLimits, UsedUp};
use crate::model::viewer::Page;

/// What a session is opened with.
pub struct NewSession {
    /// For which domain its key was made, and where it comes from.
    pub origin: Arc<KeyOrigin>,
    /// The page that has opened it. `None` where no page did.
    pub page: Option<Page>,
    /// Whether the key came from the cache.
    pub from_cache: bool,
    /// The session's keys.
    pub key: SessionKey,
}

impl NewSession {
    /// What having its key wiped at the other end takes. `None` for a narrow key.
    pub fn remote_deletion(&self) -> Option<RemoteDeletion> {
        let farewell = self.key.farewell()?;
        #[cfg(feature = "made-up-sessions")]
        if crate::model::key_origin::is_made_up(&self.origin) {
            return None;
        }
        Some(RemoteDeletion::of_key(farewell, self.origin.server.clone()))
    }
}

/// How long sessions live, how many there may be, and how much their keys may do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Most sessions at one time.
    pub max: usize,
    /// How long a session lives when it is opened or renewed.
    pub ttl: Duration,
    /// How long it can live by being renewed, from when it was opened.
    pub max_lifetime: Duration,
    /// How long it may be without use, where there is such a limit.
    pub idle: Option<Duration>,
    /// What a key may encrypt.
    pub usage: UsageLimits,
}

/// What may be told of a session.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id, in hex.
    pub session_id: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Encryptions so far.
    pub encrypt_count: u64,
    /// Decryptions so far.
    pub decrypt_count: u64,
    /// Whether its key came from the cache.
    pub from_cache: bool,
    /// For which domain its key was made, and where it comes from.
    pub origin: Arc<KeyOrigin>,
    /// The name of its key at both ends. `None` where the key is a narrow one.
    pub key_id: Option<KeyId>,
}

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Encryption of a message of so many bytes.
    Encrypt(usize),
    /// Decryption.
    Decrypt,
    /// Encryption of so many bytes more of a message that was counted when it began.
    EncryptMore(usize),
    /// Decryption of more of a message.
    DecryptMore,
    /// Encryption of a packet to the Content Server, of so many bytes of data.
    Send(usize),
    /// Decryption of one from it.
    Receive,
    /// Data went through a tunnel under the tunnel's own keys, in either direction.
    Tunnel,
}

impl KeyUse {
    /// The messages and bytes that it encrypts.
    pub(super) fn encrypts(self) -> (u64, u64) {
        match self {
            Self::Encrypt(bytes) | Self::Send(bytes) => (1, bytes as u64),
            Self::EncryptMore(bytes) => (0, bytes as u64),
            Self::Decrypt | Self::DecryptMore | Self::Receive | Self::Tunnel => (0, 0),
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no such session, or not any more.
    #[error("Session not found or expired")]
    NotFound,
    /// The key has encrypted as much as it may.
    #[error(transparent)]
    UsedUp(#[from] UsedUp),
}

/// There is no room for another session.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("Maximum of {max} sessions reached")]
pub struct Full {
    /// The limit.
    pub max: usize,
    /// When the next session expires.
    pub retry_after: Duration,
}

/// How many sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// In the store.
    pub total: usize,
    /// Of these, not expired.
    pub active: usize,
}

#[cfg(any(test, feature = "testing"))]
#[allow(missing_docs, reason = "for tests")]
pub mod samples {
    use rke_proto::Form;
    use rke_secret::Secret;

    use super::*;
    use crate::model::key_origin::samples::origin;

    /// A secret of nothing but this byte.
    pub fn secret(byte: u8) -> Secret<32> {
        Secret::fill(|secret| *secret = [byte; 32]).unwrap_or_else(|_| unreachable!("secret memory"))
    }

    /// A live session that no exchange has made.
    pub fn session(byte: u8) -> NewSession {
        let key = SessionKey::Narrow { key: secret(byte), usage: Arc::default() };
        NewSession { origin: Arc::new(origin(Form::Live)), page: None, from_cache: false, key }
    }
}
