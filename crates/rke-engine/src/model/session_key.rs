//! What a session works with: the keys of its operations, and, where it comes from handshake 3, the key K that they
//! come from and its name at both ends. `docs/protocol.md` section 7, "What comes out".

use std::sync::Arc;

use rke_proto::cipher::add_schedule;
use rke_proto::handshake::keys::{ctr_key, forget_proof, forget_token, seal_key};
use rke_proto::handshake::{ForgetProof, ForgetToken, KeyId, SessionSecrets};
use rke_secret::residue::Fingerprint;
use rke_secret::{Secret, SecretError, SecretHandle};

use super::usage::Usage;

/// The keys of one session, and what they have encrypted. The keys are wiped when this is dropped.
pub enum SessionKey {
    /// From narrow shares: one key does everything, and other sessions may hold it too.
    Narrow {
        /// The key.
        key: Secret<32>,
        /// What it has encrypted, in all sessions that hold it.
        usage: Arc<Usage>,
    },
    /// From handshake 3: the session's own.
    Wide {
        /// Of `encrypt` and `decrypt`. It lies apart, because most requests need nothing else.
        cipher: Secret<32>,
        /// All else.
        root: Box<Root>,
        /// In Unix seconds: the other end has no key of this name from then on.
        lives_until: u32,
    },
}

/// K, which is never used directly, and what is known of it.
pub struct Root {
    key: Secret<32>,
    key_id: KeyId,
    token: ForgetToken,
    proof: ForgetProof,
    usage: Usage,
}

/// What is kept of a session's key when it is gone: nothing from which it follows, but all that it takes to have it
/// wiped at the other end.
#[derive(Clone, Copy)]
pub struct Farewell {
    /// The name of K.
    pub key_id: KeyId,
    /// The right to have it wiped.
    pub token: ForgetToken,
    /// What shows that it is.
    pub proof: ForgetProof,
    /// In Unix seconds: the other end has no key of this name from then on.
    pub lives_until: u32,
}

/// A handle to the key of `seal` and `open`, or to what it is derived from.
pub(crate) enum SealKey {
    /// The key itself.
    Itself(SecretHandle<32>),
    /// K.
    Root(SecretHandle<32>),
}

impl SessionKey {
    /// The keys of a session of handshake 3, and the resumption secret. `lives_until` is in Unix seconds.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn of_handshake(
        secrets: SessionSecrets,
        lives_until: u64,
    ) -> Result<(Self, Secret<32>), SecretError> {
        let SessionSecrets { key, resumption, key_id } = secrets;
        let cipher = Secret::fill(|cipher| key.expose(|key| ctr_key(key, cipher)))?;
        // Made now, so that a deletion has nothing to compute.
        let (token, proof) = key.expose(|key| (forget_token(key), forget_proof(key)));
        let root = Box::new(Root { key, key_id, token, proof, usage: Usage::default() });
        let lives_until = lives_until.try_into().unwrap_or(u32::MAX);
        Ok((Self::Wide { cipher, root, lives_until }, resumption))
    }

    /// The name of the key at both ends. `None` where it is a narrow one.
    pub fn key_id(&self) -> Option<KeyId> {
        match self {
            Self::Narrow { .. } => None,
            Self::Wide { root, .. } => Some(root.key_id),
        }
    }

    /// What it takes to have it wiped at the other end. `None` where the other end has no message for that.
    pub fn farewell(&self) -> Option<Farewell> {
        let Self::Wide { root, lives_until, .. } = self else { return None };
        let Root { key_id, token, proof, .. } = **root;
        Some(Farewell { key_id, token, proof, lives_until: *lives_until })
    }

    /// What the keys have encrypted.
    pub(crate) fn usage(&self) -> &Usage {
        match self {
            Self::Narrow { usage, .. } => usage,
            Self::Wide { root, .. } => &root.usage,
        }
    }

    pub(crate) fn cipher(&self) -> &Secret<32> {
        match self {
            Self::Narrow { key, .. } => key,
            Self::Wide { cipher, .. } => cipher,
        }
    }

    pub(crate) fn for_sealing(&self) -> SealKey {
        match self {
            Self::Narrow { key, .. } => SealKey::Itself(key.handle()),
            Self::Wide { root, .. } => SealKey::Root(root.key.handle()),
        }
    }

    /// K.
    pub(crate) fn root(&self) -> Option<SecretHandle<32>> {
        match self {
            Self::Narrow { .. } => None,
            Self::Wide { root, .. } => Some(root.key.handle()),
        }
    }

    /// Adds all that these keys could leave behind: themselves and their AES schedules.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub(crate) fn add_to(&self, fingerprint: &mut Fingerprint) -> Result<(), SecretError> {
        add_schedule(fingerprint, self.cipher())?;
        let Self::Wide { root, .. } = self else { return Ok(()) };
        add_schedule(fingerprint, &root.key)?;
        let sealing = Secret::fill(|sealing| root.key.expose(|key| seal_key(key, sealing)))?;
        add_schedule(fingerprint, &sealing)
    }
}

impl SealKey {
    /// As [`SecretHandle::expose`].
    pub(crate) fn expose<R>(self, work: impl FnOnce(&[u8; 32]) -> R) -> Option<R> {
        match self {
            Self::Itself(key) => key.expose(work),
            Self::Root(root) => root.expose(|root| {
                let mut key = [0; 32];
                seal_key(root, &mut key);
                work(&key)
            }),
        }
    }
}
