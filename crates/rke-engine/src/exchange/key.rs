//! What an exchange ends with: a session's keys, where they come from, and what the cache keeps of it.

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

/// Keys that the other end has too, and no session yet. Where none takes them, because the client has hung up or all is
/// dropped, they are wiped there as well: else they would take the places of sessions that live.
pub struct UnclaimedKey {
    /// `None` once they are claimed.
    key: Option<SessionKey>,
    server: ServerName,
    give_up: GiveUp,
}

/// What is done about keys that nobody claims.
#[derive(Clone, Default)]
pub(crate) struct GiveUp(Arc<OnceLock<Work>>);

type Work = Box<dyn Fn(RemoteDeletion) + Send + Sync>;

impl GiveUp {
    /// Sets what is done, once.
    pub(crate) fn set(&self, work: impl Fn(RemoteDeletion) + Send + Sync + 'static) {
        // A second time would be another daemon's.
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

/// What is kept of an exchange, for later sessions.
pub struct Kept {
    /// For which domain, and where its keys come from.
    pub origin: Arc<KeyOrigin>,
    /// What later sessions are opened with.
    pub secret: KeptSecret,
}

/// What later sessions are opened with.
pub enum KeptSecret {
    /// By handshake 3: a secret from which no session's key follows for anyone who listens.
    Resumption {
        /// The secret.
        secret: Secret<32>,
        /// Its name at the Content Server.
        id: ResumptionId,
        /// In Unix seconds: the Content Server does not know it from then on.
        lives_until: u64,
    },
    /// Of live sessions: the key itself, which all sessions share.
    Narrow {
        /// The key.
        key: Secret<32>,
        /// What it has encrypted, in all of them.
        usage: Arc<Usage>,
    },
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rke_proto::handshake::{KeyId, SessionSecrets};

    use super::*;

    fn wide_key() -> SessionKey {
        let secret = || Secret::random().expect("a secret");
        let secrets = SessionSecrets { key: secret(), resumption: secret(), key_id: KeyId([7; 16]) };
        SessionKey::of_handshake(secrets, u64::from(u32::MAX)).expect("secret memory").0
    }

    #[test]
    fn keys_that_nobody_claims_are_wiped_at_the_other_end_too() {
        let (given_up, give_up) = (Arc::new(Mutex::new(Vec::new())), GiveUp::default());
        let server = || ServerName { host: "cs.rke.test".into(), port: 443 };
        let noted = Arc::clone(&given_up);
        give_up.set(move |deletion: RemoteDeletion| noted.lock().expect("unpoisoned").push(deletion.id));
        let unclaimed = |key| UnclaimedKey::new(key, server(), give_up.clone());
        drop(unclaimed(wide_key()).claim());
        let narrow = SessionKey::Narrow { key: Secret::random().expect("a secret"), usage: Arc::default() };
        drop(unclaimed(narrow));
        assert!(given_up.lock().expect("unpoisoned").is_empty(), "claimed, or unknown to the other end");
        drop(unclaimed(wide_key()));
        assert_eq!(*given_up.lock().expect("unpoisoned"), [[7; 16]]);
    }
}
