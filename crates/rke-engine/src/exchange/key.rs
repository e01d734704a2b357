//! What an exchange ends with: a session's keys, where they come from, and what the cache keeps of it.

use std::sync::{Arc, OnceLock};

use rke_proto::coin::CoinId;
use rke_proto::handshake::ResumptionId;
use rke_proto::{ContentServerId, Form};
use rke_secret::Secret;

use crate::Domain;
use crate::confirm::TunnelName;
use crate::remote_deletions::RemoteDeletion;
use crate::server::ServerName;
use crate::session_key::SessionKey;
use crate::usage::Usage;

/// Where a key comes from: everything about it that is not secret. All sessions of one exchange share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrigin {
    /// The domain that it was made for.
    pub domain: Domain,
    /// The Content Server that has the key too.
    pub cs_id: ContentServerId,
    /// How sessions with it are opened.
    pub form: Form,
    /// Types of the envelopes that the shares came in.
    pub envelopes: Vec<u8>,
    /// The RAIDAs whose shares made it, in order.
    pub raidas: Vec<u8>,
    /// The RAIDAs whose shares were proven wrong, in order.
    pub liars: Vec<u8>,
    /// The coins that the RAIDAs were shown, in order.
    pub coins: Vec<CoinId>,
    /// The coin that the Content Server has seen proven. `None` over narrow shares.
    pub proven: Option<CoinId>,
    /// Where the Content Server is.
    pub server: ServerName,
    /// Under what names the Content Server knows a narrow key. `None` where it has not confirmed it, and by handshake 3,
    /// where each session has a name of its own.
    pub tunnel: Option<TunnelName>,
}

/// How well the two ends of a session know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticated {
    /// By wide shares.
    Strong,
    /// By narrow shares: anyone who has a coin and is in the middle can be either.
    Weak,
    /// Not at all: the key has 8 bits.
    No,
}

impl Authenticated {
    /// Its name in answers and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Weak => "weak",
            Self::No => "no",
        }
    }
}

impl KeyOrigin {
    /// Whether the Content Server has shown that it has the same key.
    pub fn is_confirmed(&self) -> bool {
        self.form.is_handshake_3() || self.tunnel.is_some()
    }

    /// Whether the key stays secret when everything that the ends and the RAIDAs keep is stolen later.
    pub fn is_forward_secret(&self) -> bool {
        self.form.is_handshake_3()
    }

    /// How well the two ends know each other.
    pub fn authenticated(&self) -> Authenticated {
        match self.form {
            Form::Wide => Authenticated::Strong,
            Form::Handshake3Narrow => Authenticated::Weak,
            Form::Live => Authenticated::No,
        }
    }
}

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
pub(crate) mod samples {
    use super::*;

    /// Where the key of sessions of this form comes from.
    pub(crate) fn origin(form: Form) -> KeyOrigin {
        let coin = |serial| CoinId { denomination: 0, serial };
        KeyOrigin {
            domain: Domain::new("content.rke.test").unwrap_or_else(|| unreachable!("a domain")),
            cs_id: ContentServerId::new("CS").unwrap_or_else(|| unreachable!("an ID")),
            form,
            envelopes: vec![4, 5],
            raidas: vec![0, 3, 24],
            liars: vec![7],
            coins: vec![coin(7), coin(42)],
            proven: (form == Form::Wide).then(|| coin(42)),
            server: ServerName { host: "cs.rke.test".into(), port: 443 },
            tunnel: None,
        }
    }
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
