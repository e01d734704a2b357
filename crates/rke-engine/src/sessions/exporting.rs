//! Keys that leave a session: derived from its export key, for programs that take a key from elsewhere.

use rke_host::exports::{ExportError, Exports};
use rke_proto::export::Export;
use rke_proto::handshake::keys::export_key;

use super::Sessions;
use crate::Domain;
use crate::model::key_origin::Authenticated;
use crate::model::session_id::SessionId;
use crate::store::{KeyError, KeyUse};

impl Sessions {
    /// Which keys may be exported, and how many were.
    pub fn exports(&self) -> &Exports {
        &self.exports
    }

    /// Derives a key that leaves a session, and lets `use_key` use it once, on a stack that is wiped afterwards.
    ///
    /// # Errors
    /// [`ExportError`]; then `use_key` has not been called.
    pub fn export(
        &self,
        id: SessionId,
        export: &Export<'_>,
        use_key: impl FnOnce(&[u8]),
    ) -> Result<(), ExportError> {
        self.exports.check(export.label())?;
        let derive = |key: &[u8; 32]| export.derive(key, use_key);
        let (domain, ()) = self.with_export_key(id, derive)?;
        self.exports.count(1);
        self.journal.keys_exported(id, domain, export.label(), 1);
        Ok(())
    }

    /// Reports that this many keys with this label have left a session by [`Sessions::with_export_key`].
    pub fn note_exports(&self, id: SessionId, label: &str, count: usize) {
        self.exports.count(count);
        if let Some(row) = self.store.row(id) {
            self.journal.keys_exported(id, row.origin.domain.clone(), label, count);
        }
    }

    /// Lets `work` use once the key that exported keys are derived from, on a stack that is wiped afterwards. Returns
    /// the session's domain too.
    ///
    /// # Errors
    /// [`ExportError`]; then `work` has not been called.
    pub fn with_export_key<R>(
        &self,
        id: SessionId,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<(Domain, R), ExportError> {
        let origin = self.store.row(id).ok_or(KeyError::NotFound)?.origin;
        if origin.authenticated() != Authenticated::Strong {
            return Err(ExportError::NotStrong);
        }
        let derive = |root: &[u8; 32]| {
            let mut key = [0; 32];
            export_key(root, &mut key);
            work(&key)
        };
        let worked = self.store.with_root(id, KeyUse::Export, derive)?;
        Ok((origin.domain.clone(), worked.ok_or(ExportError::NotStrong)?))
    }
}
