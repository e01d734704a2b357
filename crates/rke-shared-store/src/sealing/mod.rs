//! How parts of records are sealed, and what they are called. `docs/store-format.md` sections 2 to 4.

use aes_gcm_siv::aead::{self, AeadInOut};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use rke_host::audit::AuditTags;
use rke_proto::cipher::hmac_sha256;
use rke_secret::{Secret, SecretError};

use crate::name::{DomainTag, ID_LEN, Id, Incarnation, KeyTag, Kind, NAME_LEN, Name, TAG_LEN};

pub(crate) const NONCE_LEN: usize = 12;
const SEAL_TAG_LEN: usize = 16;

/// By how much sealing lengthens a part.
pub(crate) const OVERHEAD: usize = NONCE_LEN + SEAL_TAG_LEN;

/// Length of a sealed secret.
pub(crate) const SEALED_SECRET_LEN: usize = 32 + OVERHEAD;

type Nonce = [u8; NONCE_LEN];
type SealTag = [u8; SEAL_TAG_LEN];

const LABEL: &[u8] = b"RKE-Store-v1";

/// Which part of a record is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The secret itself.
    Secret,
    /// What may be shown about it, and its id.
    Description,
    /// What is needed to have it wiped at the other end. The secret cannot be derived from it.
    Farewell,
}

/// What a sealed part is bound to. It opens nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) kind: Kind,
    pub(crate) part: Part,
    /// The id, for a secret: only those who know it can open it. Other parts are opened by nodes that
    /// list records or take work over, and know only the name.
    pub(crate) whose: [u8; ID_LEN],
    /// In milliseconds of the store's clock.
    pub(crate) expires_at: u64,
    pub(crate) incarnation: Incarnation,
}

/// Why a part does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was altered, moved to another record, made by another incarnation, or sealed under another key.
    #[error("a record in the store does not open: it was altered or moved, or sealed under another key")]
    DoesNotOpen,
    /// Secret memory is full, or the system gave no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// One key of the key file, as the keys derived from it.
pub(crate) struct StoreKey {
    sealing: Secret<32>,
    naming: Secret<32>,
    auditing: Secret<32>,
    tag: KeyTag,
}

impl StoreKey {
    /// Derives the keys. The key itself is not kept.
    pub(crate) fn new(key: &Secret<32>) -> Result<Self, SecretError> {
        let derive = |label: &[u8]| Secret::fill(|out| key.expose(|key| *out = hmac_sha256(key, &[label])));
        let tag = key.expose(|key| hmac_sha256(key, &[b"RKE-Store-KeyTag-v1"]));
        Ok(Self {
            sealing: derive(b"RKE-Store-Seal-v1")?,
            naming: derive(b"RKE-Store-Name-v1")?,
            auditing: derive(b"RKE-Store-Audit-v1")?,
            tag: KeyTag(first(tag)),
        })
    }

    pub(crate) fn tag(&self) -> KeyTag {
        self.tag
    }

    /// The tags of sessions in audit logs, for a log to keep.
    pub(crate) fn audit_tags(&self) -> Result<AuditTags, SecretError> {
        let copy = Secret::fill(|out| self.auditing.expose(|key| out.copy_from_slice(key)));
        copy.map(AuditTags::shared)
    }

    /// What the store calls the record of this id.
    pub(crate) fn name(&self, kind: Kind, id: &Id) -> Name {
        Name(first(self.naming.expose(|key| hmac_sha256(key, &[b"record", &[kind.number()], &id.0]))))
    }

    /// What the store calls this domain.
    pub(crate) fn domain_tag(&self, domain: &str) -> DomainTag {
        DomainTag(first(self.naming.expose(|key| hmac_sha256(key, &[b"domain", domain.as_bytes()]))))
    }

    /// Seals a secret under a random nonce. The bytes are encrypted in secret memory and copied out.
    ///
    /// # Errors
    /// [`SecretError`], if the system gave no random bytes.
    pub(crate) fn seal_secret(
        &self,
        to: &Binding,
        secret: &Secret<32>,
    ) -> Result<[u8; SEALED_SECRET_LEN], SecretError> {
        let nonce = random_nonce()?;
        Ok(self.seal_secret_with(to, secret, nonce))
    }

    fn seal_secret_with(&self, to: &Binding, secret: &Secret<32>, nonce: Nonce) -> [u8; SEALED_SECRET_LEN] {
        let mut sealed = [0; SEALED_SECRET_LEN];
        self.with_cipher(|cipher| {
            let mut bytes = [0; 32];
            secret.expose(|secret| bytes.copy_from_slice(secret));
            let tag = encrypt(cipher, &nonce, to, &mut bytes);
            sealed[..NONCE_LEN].copy_from_slice(&nonce);
            sealed[NONCE_LEN..NONCE_LEN + 32].copy_from_slice(&bytes);
            sealed[NONCE_LEN + 32..].copy_from_slice(&tag);
        });
        sealed
    }

    /// Opens a secret in place.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_secret(&self, from: &Binding, sealed: &[u8]) -> Result<Secret<32>, OpenError> {
        let (nonce, bytes, tag) = split(sealed)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| OpenError::DoesNotOpen)?;
        let mut secret = Secret::fill(|secret| *secret = bytes)?;
        let opened = secret
            .expose_mut(|secret| self.with_cipher(|cipher| decrypt(cipher, &nonce, from, secret, &tag)));
        opened.map_err(|aead::Error| OpenError::DoesNotOpen)?;
        Ok(secret)
    }

    /// Seals what is not secret by itself, but no business of the store either.
    ///
    /// # Errors
    /// [`SecretError`], if the system gave no random bytes.
    pub(crate) fn seal_data(&self, to: &Binding, data: &[u8]) -> Result<Vec<u8>, SecretError> {
        let nonce = random_nonce()?;
        Ok(self.seal_data_with(to, data, nonce))
    }

    fn seal_data_with(&self, to: &Binding, data: &[u8], nonce: Nonce) -> Vec<u8> {
        let mut sealed = [&nonce, data].concat();
        let tag = self.with_cipher(|cipher| encrypt(cipher, &nonce, to, &mut sealed[NONCE_LEN..]));
        sealed.extend(tag);
        sealed
    }

    /// Opens what [`StoreKey::seal_data`] has sealed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_data(&self, from: &Binding, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, bytes, tag) = split(sealed)?;
        let mut data = bytes.to_vec();
        let opened = self.with_cipher(|cipher| decrypt(cipher, &nonce, from, &mut data, &tag));
        opened.map_err(|aead::Error| OpenError::DoesNotOpen)?;
        Ok(data)
    }

    /// Runs `work` with the cipher, which holds keys and so exists only on the scratch stack.
    fn with_cipher<R>(&self, work: impl FnOnce(&Aes256GcmSiv) -> R) -> R {
        self.sealing.expose(|key| work(&Aes256GcmSiv::new(key.into())))
    }
}

impl Binding {
    /// The same record's secret, of this id.
    pub(crate) fn secret(kind: Kind, id: &Id, expires_at: u64, incarnation: Incarnation) -> Self {
        Self { kind, part: Part::Secret, whose: id.0, expires_at, incarnation }
    }

    /// Another part of the record with this name.
    pub(crate) fn of_name(
        kind: Kind,
        part: Part,
        name: Name,
        expires_at: u64,
        incarnation: Incarnation,
    ) -> Self {
        Self { kind, part, whose: name.0, expires_at, incarnation }
    }

    fn associated_data(&self) -> Vec<u8> {
        let part = match self.part {
            Part::Secret => 1,
            Part::Description => 2,
            Part::Farewell => 3,
        };
        let kind = [self.kind.number(), part];
        [LABEL, &kind, &self.whose, &self.expires_at.to_be_bytes(), &self.incarnation.0].concat()
    }
}

fn encrypt(cipher: &Aes256GcmSiv, nonce: &Nonce, to: &Binding, bytes: &mut [u8]) -> SealTag {
    match cipher.encrypt_inout_detached(&(*nonce).into(), &to.associated_data(), bytes.into()) {
        Ok(tag) => tag.into(),
        Err(aead::Error) => unreachable!("parts of records are far below the cipher's 64 GiB"),
    }
}

fn decrypt(
    cipher: &Aes256GcmSiv,
    nonce: &Nonce,
    from: &Binding,
    bytes: &mut [u8],
    tag: &SealTag,
) -> Result<(), aead::Error> {
    cipher.decrypt_inout_detached(&(*nonce).into(), &from.associated_data(), bytes.into(), &(*tag).into())
}

/// Nonce, ciphertext and tag.
fn split(sealed: &[u8]) -> Result<(Nonce, &[u8], SealTag), OpenError> {
    let (nonce, rest) = sealed.split_first_chunk().ok_or(OpenError::DoesNotOpen)?;
    let (bytes, tag) = rest.split_last_chunk().ok_or(OpenError::DoesNotOpen)?;
    Ok((*nonce, bytes, *tag))
}

fn random_nonce() -> Result<Nonce, SecretError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

fn first<const N: usize>(hmac: [u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| hmac[at])
}

const _: () = assert!(NAME_LEN == ID_LEN && TAG_LEN <= 32);

#[cfg(test)]
mod tests;
