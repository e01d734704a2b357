//! The results of a handshake, and the keys derived from a session's key K. `docs/protocol.md` section 7, "What comes
//! out". K is never used directly. Call the functions on bytes where the secret is exposed.

use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use super::ids::{ForgetProof, ForgetToken, ID_LEN, KeyId};
use super::noise::SymmetricState;
use crate::derive::{SECRET_LEN, expand};

/// The key of `encrypt` and `decrypt`.
pub fn ctr_key(key: &[u8; SECRET_LEN], out: &mut [u8; SECRET_LEN]) {
    expand(key, &[b"RKE-CTR-v3.0"], out);
}

/// The key of `seal` and `open`.
pub fn seal_key(key: &[u8; SECRET_LEN], out: &mut [u8; SECRET_LEN]) {
    expand(key, &[b"RKE-Seal-v3.0"], out);
}

/// The key that exported keys are derived from ([`crate::export`]). It never leaves a session itself.
pub fn export_key(key: &[u8; SECRET_LEN], out: &mut [u8; SECRET_LEN]) {
    expand(key, &[b"RKE-Export-v3.0"], out);
}

/// The psk with which a connection attaches to the session.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn attach_psk(key: &Secret<SECRET_LEN>) -> Result<Secret<SECRET_LEN>, SecretError> {
    Secret::fill(|psk| key.expose(|key| write_attach_psk(key, psk)))
}

/// The same for callers that have only K's bytes, written to `psk`.
pub fn write_attach_psk(key: &[u8; SECRET_LEN], psk: &mut [u8; SECRET_LEN]) {
    expand(key, &[b"RKE-Attach-v3.0"], psk);
}

/// The token that makes the other end wipe K, or a resumption secret. It reveals nothing about the secret.
pub fn forget_token(secret: &[u8; SECRET_LEN]) -> ForgetToken {
    let mut token = [0; ID_LEN];
    expand(secret, &[b"RKE-Forget-v3.0"], &mut token);
    ForgetToken(token)
}

/// The proof that the other end has wiped it. It reveals nothing about the secret either.
pub fn forget_proof(secret: &[u8; SECRET_LEN]) -> ForgetProof {
    let mut proof = [0; ID_LEN];
    expand(secret, &[b"RKE-Forgotten-v3.0"], &mut proof);
    ForgetProof(proof)
}

/// What both ends have after a handshake of kind 1 or 2.
pub struct SessionSecrets {
    /// K.
    pub key: Secret<SECRET_LEN>,
    /// The secret that opens later sessions without the RAIDAs.
    pub resumption: Secret<SECRET_LEN>,
    /// The id of K.
    pub key_id: KeyId,
}

impl SessionSecrets {
    pub(super) fn of(state: &SymmetricState) -> Result<Self, SecretError> {
        let (ck, h) = state.finish();
        let derive = |label: &[u8]| Secret::fill(|out| ck.expose(|ck| expand(ck, &[label, h], out)));
        Ok(Self {
            key: derive(b"RKE-SessionKey-v3.0")?,
            resumption: derive(b"RKE-Resumption-v3.0")?,
            key_id: key_id(h),
        })
    }
}

/// The first 16 bytes of a hash over everything that both ends have sent.
pub(super) fn key_id(h: &[u8; 32]) -> KeyId {
    let hash: [u8; 32] = Sha256::new().chain_update(b"RKE-KeyId-v3.0").chain_update(h).finalize().into();
    let mut id = [0; ID_LEN];
    id.copy_from_slice(&hash[..ID_LEN]);
    KeyId(id)
}
