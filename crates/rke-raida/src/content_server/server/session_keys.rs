//! The keys of the sessions, for an application that encrypts with them and never gets one.

use rke_host::exports::Exports;
use rke_host::session_keys::{DataKey, HeldSession, SessionKeys};
use rke_host::usage::{KeyError, KeyUse};
use rke_proto::handshake::KeyId;
use rke_proto::handshake::keys::{ctr_key, export_key, seal_key};

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

    fn note(&self, key_id: &KeyId, key_use: KeyUse) -> Result<(), KeyError> {
        self.reception().use_key(key_id, key_use, unix_seconds()).map(|_| ())
    }

    fn with_key(
        &self,
        key_id: &KeyId,
        data_key: DataKey,
        key_use: KeyUse,
        work: &mut dyn FnMut(&[u8; 32]),
    ) -> Result<(), KeyError> {
        // Without the lock, which the removal of the key holds while it waits for the work.
        let root = self.reception().use_key(key_id, key_use, unix_seconds())?;
        let used = root.expose(|root| {
            let mut key = [0; 32];
            match data_key {
                DataKey::Encrypt => ctr_key(root, &mut key),
                DataKey::Seal => seal_key(root, &mut key),
                DataKey::Export => export_key(root, &mut key),
            }
            work(&key);
        });
        used.ok_or(KeyError::NotFound)
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
