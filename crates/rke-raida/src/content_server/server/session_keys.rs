//! The keys of the sessions, for an application that encrypts with them and never gets one.

use rke_host::exports::Exports;
use std::sync::Arc;

use rke_host::session_keys::{HeldSession, SessionKeys};
use rke_host::usage::{KeyError, KeyUse};
use rke_proto::handshake::KeyId;
use rke_secret::SecretHandle;

use super::ServerContext;
use crate::audit::ServerEvent;
use crate::clock::unix_seconds;

impl SessionKeys for ServerContext {
    fn list(&self) -> Result<Vec<HeldSession>, KeyError> {
        match &self.sharing {
            Some(sharing) => sharing.wait_for(sharing.sessions()),
            None => Ok(self.sessions()),
        }
    }

    fn get_ready(&self, key_id: &KeyId, key_use: KeyUse) -> Result<(), KeyError> {
        match &self.sharing {
            Some(sharing) if !sharing.is_ready(key_id, key_use) => {
                sharing.wait_for(sharing.prepare(key_id, key_use))
            }
            _ => Ok(()),
        }
    }

    fn is_held(&self, key_id: &KeyId) -> bool {
        self.sharing.as_ref().is_none_or(|sharing| sharing.is_held(key_id))
    }

    fn stream(&self, key_id: &KeyId) -> Option<Arc<()>> {
        self.sharing.as_ref().and_then(|_| self.reception().stream(&key_id.0))
    }

    fn sessions(&self) -> Vec<HeldSession> {
        self.reception().sessions(unix_seconds())
    }

    fn session(&self, key_id: &KeyId) -> Option<HeldSession> {
        self.reception().session(key_id, unix_seconds())
    }

    fn use_key(&self, key_id: &KeyId, key_use: KeyUse) -> Result<SecretHandle<32>, KeyError> {
        if !self.is_held(key_id) {
            return Err(KeyError::NotHeld);
        }
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
