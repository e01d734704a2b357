//! The ends that encrypt and decrypt: a daemon with its sessions, and a Content Server with the keys that it holds. The
//! handlers of data work on either.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rke_engine::model::clock::Moment;
use rke_engine::model::session_id::SessionId;
use rke_engine::sessions::{CryptError, Nonce, Sessions, StoreError};
use rke_engine::store::KeyError;
use rke_engine::streams::SessionStreamKey;
use rke_host::exports::ExportError;
use rke_host::session_keys::{self, DataKey, HeldStreamKey, SessionKeys, with_key};
use rke_host::streams::{Direction, StreamKey};
use rke_host::usage::KeyUse;
use rke_proto::cipher::aes256_ctr;
use rke_proto::export::Export;
use rke_proto::handshake::KeyId;
use rke_secret::fill_random;

use super::{HeldKeys, Shared};

/// An end of sessions.
pub(in crate::http) trait End: Clone + Send + Sync + 'static {
    /// The use of a key by one stream.
    type Key: StreamKey + Send + Unpin + 'static;

    /// Makes sure that a session can be used for this, at once and for a little while. Waits only where other machines share it.
    fn bring(
        &self,
        id: SessionId,
        key_use: KeyUse,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;

    /// What a stream waits for before each of its pieces, where other machines share the session.
    fn bringer(&self, id: SessionId, direction: Direction) -> Option<Bringer>;

    /// Begins a stream.
    fn begin(&self, id: SessionId, direction: Direction) -> Result<Self::Key, KeyError>;

    /// Encrypts in place under a fresh random nonce.
    fn encrypt(&self, id: SessionId, now: Moment, data: &mut [u8]) -> Result<Nonce, CryptError>;

    /// Decrypts in place.
    fn decrypt(&self, id: SessionId, now: Moment, nonce: &Nonce, data: &mut [u8]) -> Result<(), KeyError>;

    /// Derives a key that leaves the session.
    fn export(
        &self,
        id: SessionId,
        export: &Export<'_>,
        use_key: impl FnOnce(&[u8]),
    ) -> Result<(), ExportError>;
}

/// Makes sure that a stream can use its session for as many bytes more.
pub(in crate::http) type Bringer = Box<dyn Fn(usize) -> BoxFuture<'static, Result<(), StoreError>> + Send>;

impl End for Shared {
    type Key = SessionStreamKey;

    fn bring(
        &self,
        id: SessionId,
        key_use: KeyUse,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let sessions = Arc::clone(self);
        async move { Sessions::bring(&sessions, id, key_use).await }
    }

    fn bringer(&self, id: SessionId, direction: Direction) -> Option<Bringer> {
        let sessions = self.are_shared().then(|| Arc::clone(self))?;
        Some(Box::new(move |len| Box::pin(End::bring(&sessions, id, direction.next_use(len)))))
    }

    fn begin(&self, id: SessionId, direction: Direction) -> Result<SessionStreamKey, KeyError> {
        SessionStreamKey::begin(Arc::clone(self), id, direction)
    }

    fn encrypt(&self, id: SessionId, now: Moment, data: &mut [u8]) -> Result<Nonce, CryptError> {
        Sessions::encrypt(self, id, now, data)
    }

    fn decrypt(&self, id: SessionId, now: Moment, nonce: &Nonce, data: &mut [u8]) -> Result<(), KeyError> {
        Sessions::decrypt(self, id, now, nonce, data)
    }

    fn export(
        &self,
        id: SessionId,
        export: &Export<'_>,
        use_key: impl FnOnce(&[u8]),
    ) -> Result<(), ExportError> {
        Sessions::export(self, id, export, use_key)
    }
}

/// A Content Server names its sessions by their keys, and has a clock of its own.
impl End for HeldKeys {
    type Key = HeldStreamKey;

    fn bring(
        &self,
        _: SessionId,
        _: KeyUse,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        ready(Ok(()))
    }

    fn bringer(&self, _: SessionId, _: Direction) -> Option<Bringer> {
        None
    }

    fn begin(&self, id: SessionId, direction: Direction) -> Result<HeldStreamKey, KeyError> {
        HeldStreamKey::begin(Arc::clone(self), key_id(id), direction)
    }

    fn encrypt(&self, id: SessionId, _: Moment, data: &mut [u8]) -> Result<Nonce, CryptError> {
        let mut nonce = Nonce::default();
        fill_random(&mut nonce)?;
        let key_use = KeyUse::Encrypt(data.len());
        encrypt_or_decrypt(&**self, id, key_use, &nonce, data)?;
        Ok(nonce)
    }

    fn decrypt(&self, id: SessionId, _: Moment, nonce: &Nonce, data: &mut [u8]) -> Result<(), KeyError> {
        encrypt_or_decrypt(&**self, id, KeyUse::Decrypt, nonce, data)
    }

    fn export(
        &self,
        id: SessionId,
        export: &Export<'_>,
        use_key: impl FnOnce(&[u8]),
    ) -> Result<(), ExportError> {
        session_keys::export(&**self, &key_id(id), export, use_key)
    }
}

/// In counter mode both are the same operation.
fn encrypt_or_decrypt(
    keys: &dyn SessionKeys,
    id: SessionId,
    key_use: KeyUse,
    nonce: &Nonce,
    data: &mut [u8],
) -> Result<(), KeyError> {
    with_key(keys, &key_id(id), DataKey::Encrypt, key_use, |key| aes256_ctr(key, nonce, data))
}

/// The key that a session of a Content Server is named by.
pub(super) fn key_id(id: SessionId) -> KeyId {
    KeyId(*id.as_bytes())
}
