//! The result of an exchange: a session's keys, where they come from, and what the cache keeps.

use std::sync::{Arc, OnceLock};

use rke_proto::handshake::ResumptionId;
use rke_secret::Secret;

use crate::model::key_origin::KeyOrigin;
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::server_name::ServerName;
use crate::model::session_key::SessionKey;
use crate::model::usage::Usage;

/// A key for a new session.
pub struct OpenedKey {
    /// Where it comes from.
    pub origin: Arc<KeyOrigin>,
    /// The session's keys.
    pub key: UnclaimedKey,
}

/// Keys that the other end has already, but no session here. If no session takes them, because the client has hung up
/// or everything is dropped, they are wiped there too: otherwise they would take the places of live sessions.
pub struct UnclaimedKey {
    /// `None` once they are claimed.
    key: Option<SessionKey>,
    server: ServerName,
    give_up: GiveUp,
}

/// What happens to keys that nobody claims.
#[derive(Clone, Default)]
pub(crate) struct GiveUp(Arc<OnceLock<Work>>);

type Work = Box<dyn Fn(RemoteDeletion) + Send + Sync>;

impl GiveUp {
    /// Sets what happens to them, once.
    pub(crate) fn set(&self, work: impl Fn(RemoteDeletion) + Send + Sync + 'static) {
        // A second call would come from another daemon.
        let _ = self.0.set(Box::new(work));
    }
}

impl UnclaimedKey {
    pub(crate) fn new(key: SessionKey, server: ServerName, give_up: GiveUp) -> Self {
        Self { key: Some(key), server, give_up }
    }

    /// The keys, for a session.
    pub(crate) fn claim(mut self) -> SessionKey {
        self.key.take().unwrap_or_else(|| unreachable!("keys are claimed once"))
    }
}

impl Drop for UnclaimedKey {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let farewell = key.farewell();
        drop(key);
        if let (Some(farewell), Some(give_up)) = (farewell, self.give_up.0.get()) {
            give_up(RemoteDeletion::of_key(farewell, self.server.clone()));
        }
    }
}

/// What is kept of an exchange for later sessions.
pub struct Kept {
    /// The domain of the exchange, and where its keys come from.
    pub origin: Arc<KeyOrigin>,
    /// What later sessions are opened with.
    pub secret: KeptSecret,
}

/// What later sessions are opened with.
pub enum KeptSecret {
    /// From handshake 3: a secret from which a listener cannot derive any session's key.
    Resumption {
        secret: Secret<32>,
        /// Its name at the Content Server.
        id: ResumptionId,
        /// In Unix seconds: when it expires at the Content Server.
        lives_until: u64,
    },
    /// From live sessions: the key itself, which all sessions share.
    Narrow {
        key: Secret<32>,
        /// How much it has encrypted, in all of them.
        usage: Arc<Usage>,
    },
}

#[cfg(test)]
mod tests;
