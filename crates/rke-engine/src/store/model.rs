//! The store's interface: sessions before and after their time in it, the rules, and the errors.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
pub use rke_host::usage::{KeyError, KeyUse};
use rke_proto::handshake::KeyId;

use crate::model::clock::Moment;
use crate::model::key_origin::KeyOrigin;
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::session_key::SessionKey;
use crate::model::usage::UsageLimits;
use crate::model::viewer::Page;

/// What a session is opened with.
pub struct NewSession {
    /// The domain that its key was made for, and where the key comes from.
    pub origin: Arc<KeyOrigin>,
    /// The page that opened it. `None` if no page did.
    pub page: Option<Page>,
    /// Whether the key came from the cache.
    pub from_cache: bool,
    /// The session's keys.
    pub key: SessionKey,
}

impl NewSession {
    /// The data needed to have its key wiped at the other end. `None` for a narrow key.
    pub fn remote_deletion(&self) -> Option<RemoteDeletion> {
        let farewell = self.key.farewell()?;
        #[cfg(feature = "made-up-sessions")]
        if crate::model::key_origin::is_made_up(&self.origin) {
            return None;
        }
        Some(RemoteDeletion::of_key(farewell, self.origin.server.clone()))
    }
}

/// How long sessions live, how many may exist, and how much their keys may encrypt.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// The most sessions at one time.
    pub max: usize,
    /// A session's lifetime from when it is opened or renewed.
    pub ttl: Duration,
    /// The maximum lifetime of a session, including renewals, from when it was opened.
    pub max_lifetime: Duration,
    /// How long a session may be idle, if that is limited.
    pub idle: Option<Duration>,
    /// How much a key may encrypt.
    pub usage: UsageLimits,
}

/// What may be shown about a session.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Its id, in hex.
    pub session_id: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Encryptions so far.
    pub encrypt_count: u64,
    /// Decryptions so far.
    pub decrypt_count: u64,
    /// Whether its key came from the cache.
    pub from_cache: bool,
    /// The domain that its key was made for, and where the key comes from.
    pub origin: Arc<KeyOrigin>,
    /// The name of its key at both ends. `None` for a narrow key.
    pub key_id: Option<KeyId>,
    /// In Unix seconds: when the key expires at the other end, if it says so.
    pub lives_until: Option<u32>,
}

/// For how long a copy of a session that other machines share may be used, and what is shown about the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CopyTerms {
    /// From then on the copy must not be used.
    pub until: Moment,
    /// When the session was opened, in Unix seconds.
    pub created_at: u32,
    /// When it expires, in Unix seconds.
    pub expires_at: u32,
}

/// Whether a copy can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None is here.
    Missing,
    /// It can, but may not encrypt as much.
    Short,
    /// It can, until then.
    Held(Moment),
}

/// No room for another session.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("Maximum of {max} sessions reached")]
pub struct Full {
    /// The limit.
    pub max: usize,
    /// When the next session expires.
    pub retry_after: Duration,
}

/// The number of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// All sessions in the store.
    pub total: usize,
    /// Those that have not expired.
    pub active: usize,
    /// Where other machines share the sessions: those whose keys this machine has.
    pub held: Option<usize>,
}

#[cfg(any(test, feature = "testing"))]
pub mod samples {
    use rke_proto::Form;
    use rke_secret::Secret;

    use super::*;
    use crate::model::key_origin::samples::origin;

    /// A secret made of this byte only.
    pub fn secret(byte: u8) -> Secret<32> {
        Secret::fill(|secret| *secret = [byte; 32]).unwrap_or_else(|_| unreachable!("secret memory"))
    }

    /// A live session made without an exchange.
    pub fn session(byte: u8) -> NewSession {
        let key = SessionKey::Narrow { key: secret(byte), usage: Arc::default() };
        NewSession { origin: Arc::new(origin(Form::Live)), page: None, from_cache: false, key }
    }
}
