//! The keys of the sessions at one end, for those who encrypt with them and own none of them.

use std::sync::Arc;

use rke_proto::coin::CoinId;
use rke_proto::export::Export;
use rke_proto::handshake::KeyId;
use rke_proto::handshake::keys::{ctr_key, export_key, seal_key};
use rke_proto::{Bitmap, ContentServerId, Form};
use rke_secret::SecretHandle;

use crate::exports::{ExportError, Exports};
use crate::streams::{Direction, StreamKey};
use crate::usage::{KeyError, KeyUse};

/// The keys of the sessions at one end. A key that has ended is not found from that moment on.
pub trait SessionKeys: Send + Sync {
    /// The sessions whose keys are in this process, oldest first.
    fn sessions(&self) -> Vec<HeldSession>;

    /// All sessions, oldest first, those included whose keys only other machines have at the moment.
    ///
    /// # Errors
    /// [`KeyError::NotHeld`].
    fn list(&self) -> Result<Vec<HeldSession>, KeyError> {
        Ok(self.sessions())
    }

    /// Gets a key ready for a use, from the store that machines share. It may wait for the store, so not on a scratch stack.
    ///
    /// # Errors
    /// [`KeyError`].
    fn get_ready(&self, _key_id: &KeyId, _key_use: KeyUse) -> Result<(), KeyError> {
        Ok(())
    }

    /// Whether a key may be used at this moment. What it has given counts only if it may be used afterwards too.
    fn is_held(&self, _key_id: &KeyId) -> bool {
        true
    }

    /// Keeps a key that machines share ready, for as long as the value lives.
    fn stream(&self, _key_id: &KeyId) -> Option<Arc<()>> {
        None
    }

    /// The session whose key has this id.
    fn session(&self, key_id: &KeyId) -> Option<HeldSession>;

    /// Notes a use of a key, and returns a handle to K, which all keys of the session are derived from.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing is noted.
    fn use_key(&self, key_id: &KeyId, key_use: KeyUse) -> Result<SecretHandle<32>, KeyError>;

    /// Which keys may be exported, and how many were.
    fn exports(&self) -> &Exports;

    /// Counts and records keys with this label that have been derived from a session's key and are leaving.
    fn note_exports(&self, session: &HeldSession, label: &str, count: usize);
}

/// A key of a session. `docs/protocol.md` section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKey {
    /// That of `encrypt` and `decrypt`.
    Encrypt,
    /// That of `seal` and `open`.
    Seal,
    /// That which exported keys are derived from.
    Export,
}

/// What may be shown about a session that an end holds the key of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSession {
    /// The name of its key, the same at both ends.
    pub key_id: KeyId,
    /// The domain that the client opened it for.
    pub domain: String,
    /// The Content Server ID that it was opened for.
    pub cs_id: ContentServerId,
    /// How it was opened.
    pub form: Form,
    /// The RAIDAs whose shares made it.
    pub raidas: Bitmap,
    /// Whether the client opened it without asking a RAIDA.
    pub is_resumed: bool,
    /// A coin that the client has proven, the first of several.
    pub coin: Option<CoinId>,
    /// When the key was agreed on, in Unix seconds.
    pub since: u64,
    /// When the key expires, in Unix seconds.
    pub expires_at: u64,
    /// Encryptions and sealings at this end.
    pub encrypt_count: u64,
    /// Decryptions and openings at this end.
    pub decrypt_count: u64,
}

/// Notes a use of a key, and lets `work` use it once, on a stack that is wiped afterwards. The key's end waits until `work` has
/// returned, so it should be quick.
///
/// # Errors
/// [`KeyError`]; then `work` has not been called.
pub fn with_key<R>(
    keys: &dyn SessionKeys,
    key_id: &KeyId,
    data_key: DataKey,
    key_use: KeyUse,
    work: impl FnOnce(&[u8; 32]) -> R,
) -> Result<R, KeyError> {
    keys.get_ready(key_id, key_use)?;
    with_ready_key(keys, key_id, data_key, key_use, work)
}

fn with_ready_key<R>(
    keys: &dyn SessionKeys,
    key_id: &KeyId,
    data_key: DataKey,
    key_use: KeyUse,
    work: impl FnOnce(&[u8; 32]) -> R,
) -> Result<R, KeyError> {
    let root = keys.use_key(key_id, key_use)?;
    let used = root.expose(|root| {
        let mut key = [0; 32];
        match data_key {
            DataKey::Encrypt => ctr_key(root, &mut key),
            DataKey::Seal => seal_key(root, &mut key),
            DataKey::Export => export_key(root, &mut key),
        }
        work(&key)
    });
    let used = used.ok_or(KeyError::NotFound)?;
    // A machine that was stopped meanwhile may hear only now that the key is gone.
    if keys.is_held(key_id) { Ok(used) } else { Err(KeyError::NotHeld) }
}

/// Derives a key that leaves a session, and lets `use_key` use it once, on a stack that is wiped afterwards.
///
/// # Errors
/// [`ExportError`]; then `use_key` has not been called.
pub fn export(
    keys: &dyn SessionKeys,
    key_id: &KeyId,
    export: &Export<'_>,
    use_key: impl FnOnce(&[u8]),
) -> Result<(), ExportError> {
    keys.exports().check(export.label())?;
    keys.get_ready(key_id, KeyUse::Export)?;
    export_to_own(keys, key_id, export, use_key)
}

/// The same whatever the label, for a program that the operator of this end has named for such keys. Get the key ready first.
///
/// # Errors
/// [`ExportError`]; then `use_key` has not been called.
pub fn export_to_own(
    keys: &dyn SessionKeys,
    key_id: &KeyId,
    export: &Export<'_>,
    use_key: impl FnOnce(&[u8]),
) -> Result<(), ExportError> {
    let session = strong_session(keys, key_id)?;
    with_ready_key(keys, key_id, DataKey::Export, KeyUse::Export, |key| export.derive(key, use_key))?;
    keys.note_exports(&session, export.label(), 1);
    Ok(())
}

/// Lets `work` use once the key that exported keys are derived from.
///
/// # Errors
/// [`ExportError`]; then `work` has not been called.
pub fn with_export_key<R>(
    keys: &dyn SessionKeys,
    key_id: &KeyId,
    work: impl FnOnce(&[u8; 32]) -> R,
) -> Result<R, ExportError> {
    keys.get_ready(key_id, KeyUse::Export)?;
    strong_session(keys, key_id)?;
    Ok(with_ready_key(keys, key_id, DataKey::Export, KeyUse::Export, work)?)
}

/// The session, if its ends know each other well enough to export keys.
fn strong_session(keys: &dyn SessionKeys, key_id: &KeyId) -> Result<HeldSession, ExportError> {
    let session = keys.session(key_id).ok_or(KeyError::NotFound)?;
    if session.form == Form::Wide { Ok(session) } else { Err(ExportError::NotStrong) }
}

/// The use of one of these keys by one stream.
pub struct HeldStreamKey {
    keys: Arc<dyn SessionKeys>,
    key_id: KeyId,
    direction: Direction,
    _ready: Option<Arc<()>>,
}

impl HeldStreamKey {
    /// Begins a stream. It counts as one use of the session, however long it is.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn begin(keys: Arc<dyn SessionKeys>, key_id: KeyId, direction: Direction) -> Result<Self, KeyError> {
        keys.get_ready(&key_id, direction.first_use())?;
        keys.use_key(&key_id, direction.first_use()).map(drop)?;
        let ready = keys.stream(&key_id);
        Ok(Self { keys, key_id, direction, _ready: ready })
    }

    fn with_key<R>(
        &self,
        data_key: DataKey,
        len: usize,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<R, KeyError> {
        with_key(&*self.keys, &self.key_id, data_key, self.direction.next_use(len), work)
    }
}

impl StreamKey for HeldStreamKey {
    fn expose<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError> {
        self.with_key(DataKey::Encrypt, len, work)
    }

    fn expose_for_sealing<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError> {
        self.with_key(DataKey::Seal, len, work)
    }
}
