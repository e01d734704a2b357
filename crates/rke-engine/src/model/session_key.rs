//! The keys of a session's operations. For a session of handshake 3, also the key K that they are derived from, and
//! its name at both ends. `docs/protocol.md` section 7.5, "What comes out".

use std::sync::Arc;

use rke_proto::cipher::add_schedule;
use rke_proto::handshake::keys::{ctr_key, export_key, forget_proof, forget_token, seal_key};
use rke_proto::handshake::{ForgetProof, ForgetToken, KeyId, SessionSecrets};
use rke_secret::memory_scan::Fingerprint;
use rke_secret::{Secret, SecretError, SecretHandle};

use super::usage::Usage;

/// The keys of one session, and how much they have encrypted. The keys are wiped when this is dropped.
pub enum SessionKey {
    /// From narrow shares: one key does everything, and other sessions may hold it too.
    Narrow {
        key: Secret<32>,
        /// How much it has encrypted, in all sessions that hold it.
        usage: Arc<Usage>,
    },
    /// From handshake 3: the session's own.
    Wide {
        /// The key of `encrypt` and `decrypt`. It is stored separately, because most requests need nothing else.
        cipher: Secret<32>,
        /// Everything else.
        root: Root,
        /// In Unix seconds: when the key expires at the other end.
        lives_until: u32,
    },
}

/// K, which is never used directly, and what belongs to it.
pub struct Root {
    key: Secret<32>,
    key_id: KeyId,
    token: ForgetToken,
    proof: ForgetProof,
    usage: Usage,
}

/// What remains of a session's key after the wipe. The key cannot be derived from it, but it is enough to have the
/// key wiped at the other end.
#[derive(Clone, Copy)]
pub struct Farewell {
    /// The name of K.
    pub key_id: KeyId,
    /// The right to have it wiped.
    pub token: ForgetToken,
    /// Proves that it is wiped.
    pub proof: ForgetProof,
    /// In Unix seconds: when the key expires at the other end.
    pub lives_until: u32,
}

/// A handle to the key of `seal` and `open`, or to the key that it is derived from.
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
    /// [`SecretError`] if no secret memory is left.
    pub fn of_handshake(
        secrets: SessionSecrets,
        lives_until: u64,
    ) -> Result<(Self, Secret<32>), SecretError> {
        let SessionSecrets { key, resumption, key_id } = secrets;
        let lives_until = lives_until.try_into().unwrap_or(u32::MAX);
        Ok((Self::of_root(key, key_id, lives_until, Usage::default())?, resumption))
    }

    /// The keys that follow from K.
    ///
    /// # Errors
    /// As [`SessionKey::of_handshake`].
    pub(crate) fn of_root(
        key: Secret<32>,
        key_id: KeyId,
        lives_until: u32,
        usage: Usage,
    ) -> Result<Self, SecretError> {
        let cipher = Secret::fill(|cipher| key.expose(|key| ctr_key(key, cipher)))?;
        // Computed now, so that a deletion has nothing to compute.
        let (token, proof) = key.expose(|key| (forget_token(key), forget_proof(key)));
        let root = Root { key, key_id, token, proof, usage };
        Ok(Self::Wide { cipher, root, lives_until })
    }

    /// The name of the key at both ends. `None` for a narrow key.
    pub fn key_id(&self) -> Option<KeyId> {
        match self {
            Self::Narrow { .. } => None,
            Self::Wide { root, .. } => Some(root.key_id),
        }
    }

    /// In Unix seconds: when the key expires at the other end. `None` if the other end has not said so.
    pub(crate) fn lives_until(&self) -> Option<u32> {
        match self {
            Self::Narrow { .. } => None,
            Self::Wide { lives_until, .. } => Some(*lives_until),
        }
    }

    /// The data needed to have it wiped at the other end. `None` if the other end has no message for that.
    pub fn farewell(&self) -> Option<Farewell> {
        let Self::Wide { root, lives_until, .. } = self else { return None };
        let Root { key_id, token, proof, .. } = *root;
        Some(Farewell { key_id, token, proof, lives_until: *lives_until })
    }

    /// How much the keys have encrypted.
    pub(crate) fn usage(&self) -> &Usage {
        match self {
            Self::Narrow { usage, .. } => usage,
            Self::Wide { root, .. } => &root.usage,
        }
    }

    /// K itself, to be sealed for other machines. `None` for a narrow key.
    pub(crate) fn secret(&self) -> Option<&Secret<32>> {
        match self {
            Self::Narrow { .. } => None,
            Self::Wide { root, .. } => Some(&root.key),
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

    /// Adds everything that these keys could leave behind: themselves and their AES schedules.
    ///
    /// # Errors
    /// [`SecretError`] if no secret memory is left.
    pub(crate) fn add_to(&self, fingerprint: &mut Fingerprint) -> Result<(), SecretError> {
        add_schedule(fingerprint, self.cipher())?;
        let Self::Wide { root, .. } = self else { return Ok(()) };
        add_schedule(fingerprint, &root.key)?;
        let sealing = Secret::fill(|sealing| root.key.expose(|key| seal_key(key, sealing)))?;
        add_schedule(fingerprint, &sealing)?;
        // No cipher's key, but the key itself is part of its schedule.
        let exporting = Secret::fill(|exporting| root.key.expose(|key| export_key(key, exporting)))?;
        add_schedule(fingerprint, &exporting)
    }
}

impl SealKey {
    /// Like [`SecretHandle::expose`].
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
