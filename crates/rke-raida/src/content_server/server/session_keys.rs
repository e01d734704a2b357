//! The keys of the sessions, for an application that encrypts with them and never gets one.

use rke_host::exports::Exports;
use rke_host::session_keys::{HeldSession, SessionKeys};
use rke_host::usage::{KeyError, KeyUse};
use rke_proto::handshake::KeyId;
use rke_secret::SecretHandle;

use super::ServerContext;
use crate::audit::ServerEvent;
use crate::clock::unix_seconds;

impl SessionKeys for ServerContext {
    fn sessions(&self) -> Vec<HeldSession> {
        self.reception().sessions(unix_seconds())
    }

    fn session(&self, key_id: &KeyId) -> Option<HeldSession> {
        self.reception().session(key_id, unix_seconds())
    }

    fn use_key(&self, key_id: &KeyId, key_use: KeyUse) -> Result<SecretHandle<32>, KeyError> {
        // Used without the lock, which the removal of the key holds while it waits for the use.
        self.reception().use_key(key_id, key_use, unix_seconds())
    }

    fn exports(&self) -> &Exports {
        &self.exports
    }

    fn note_exports(&self, session: &HeldSession, label: &str, count: usize) {
        self.exports.count(count);
        tracing::info!(?label, count, "keys were exported");
        let (domain, label) = (session.domain.clone(), label.to_owned());
        self.audit.record_of(session.key_id.0, ServerEvent::KeysExported { domain, label, count });
    }
}
