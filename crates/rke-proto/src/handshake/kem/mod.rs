//! X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 and X25519 in one. `docs/protocol.md` section 7.
//! Each operation is one visit to a scratch stack that is deep enough for ML-KEM and is wiped completely.

use curve25519_dalek::MontgomeryPoint;
use rke_secret::{Secret, SecretError, scoped_for_kem};
use x_wing::{
    CIPHERTEXT_SIZE, DecapsulationKey, DecapsulationKeyRejectNonContrib, Decapsulator,
    ENCAPSULATION_KEY_SIZE, ENCAPSULATION_RANDOMNESS_SIZE, EncapsulationKey, KeyExport, TryDecapsulate,
};

/// Length of the seed of an ephemeral key: 32 random bytes.
pub const SEED_LEN: usize = 32;

/// Length of a public key, ML-KEM's and X25519's.
pub const PUBLIC_KEY_LEN: usize = ENCAPSULATION_KEY_SIZE;

/// Length of a ciphertext.
pub const CIPHERTEXT_LEN: usize = CIPHERTEXT_SIZE;

/// Length of the randomness of an encapsulation: half of it for ML-KEM, half for X25519. Each half fits a [`Secret`].
pub const ENCAPSULATION_RANDOM_LEN: usize = ENCAPSULATION_RANDOMNESS_SIZE;

/// A public key as it travels.
pub type PublicKeyBytes = [u8; PUBLIC_KEY_LEN];

/// A ciphertext as it travels.
pub type CiphertextBytes = [u8; CIPHERTEXT_LEN];

/// Fresh randomness for one encapsulation: the seeds of ML-KEM's and of X25519's half.
pub struct EncapsulationSeeds {
    pub ml_kem: Secret<32>,
    /// For X25519.
    pub x25519: Secret<32>,
}

impl EncapsulationSeeds {
    /// Seeds from the system's generator.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn random() -> Result<Self, SecretError> {
        Ok(Self { ml_kem: Secret::random()?, x25519: Secret::random()? })
    }
}

/// An ephemeral key: its seed, and the public key that follows from it. Lives as long as its handshake.
pub struct EphemeralKey {
    pub(super) seed: Secret<SEED_LEN>,
    pub(super) public: Box<PublicKeyBytes>,
}

impl EphemeralKey {
    /// The key for 32 fresh random bytes.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn of_seed(seed: Secret<SEED_LEN>) -> Result<Self, SecretError> {
        let public = public_key(&seed)?;
        Ok(Self { seed, public })
    }

    /// A new one.
    ///
    /// # Errors
    /// [`SecretError`], also if the system returns no random bytes.
    pub fn random() -> Result<Self, SecretError> {
        Self::of_seed(Secret::random()?)
    }
}

/// The public key of a seed.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn public_key(seed: &Secret<SEED_LEN>) -> Result<Box<PublicKeyBytes>, SecretError> {
    let mut public = Box::new([0; PUBLIC_KEY_LEN]);
    scoped_for_kem(|| {
        seed.expose(|seed| {
            let key = DecapsulationKey::from(*seed);
            public.copy_from_slice(&key.encapsulation_key().to_bytes());
        });
    })?;
    Ok(public)
}

/// A ciphertext for a public key, and the shared secret in it. `None` for a public key that fails FIPS 203's check,
/// or whose X25519 result is all zeros.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn encapsulate(
    public: &[u8; PUBLIC_KEY_LEN],
    seeds: &EncapsulationSeeds,
) -> Result<Option<(Box<CiphertextBytes>, Secret<32>)>, SecretError> {
    if !is_contributory(public) {
        return Ok(None);
    }
    let (mut ciphertext, mut shared) = (Box::new([0; CIPHERTEXT_LEN]), Secret::zeros()?);
    let done = scoped_for_kem(|| {
        let Ok(key) = EncapsulationKey::try_from(public.as_slice()) else { return false };
        let mut random = [0; ENCAPSULATION_RANDOM_LEN];
        seeds.ml_kem.expose(|half| random[..32].copy_from_slice(half));
        seeds.x25519.expose(|half| random[32..].copy_from_slice(half));
        let (sent, secret) = key.encapsulate_deterministic(&random.into());
        ciphertext.copy_from_slice(&sent);
        shared.expose_mut(|shared| shared.copy_from_slice(&secret));
        true
    })?;
    Ok(done.then_some((ciphertext, shared)))
}

/// Whether X25519 with the public key's second half depends on that half at all. Its secrets are multiples of 8, so
/// the result is zero exactly for the points whose eightfold is zero: a full second multiplication is unnecessary.
fn is_contributory(public: &PublicKeyBytes) -> bool {
    let mut u = [0; 32];
    u.copy_from_slice(&public[PUBLIC_KEY_LEN - 32..]);
    MontgomeryPoint(u).mul_bits_be([true, false, false, false].into_iter()).0 != [0; 32]
}

/// The shared secret in a ciphertext. `None` if X25519's result is all zeros; any other ciphertext that was not made
/// for the key yields a secret that nobody shares.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn decapsulate(
    seed: &Secret<SEED_LEN>,
    ciphertext: &[u8; CIPHERTEXT_LEN],
) -> Result<Option<Secret<32>>, SecretError> {
    let mut shared = Secret::zeros()?;
    let done = scoped_for_kem(|| {
        seed.expose(|seed| {
            let key = DecapsulationKeyRejectNonContrib::from(*seed);
            let Ok(secret) = key.try_decapsulate(&(*ciphertext).into()) else { return false };
            shared.expose_mut(|shared| shared.copy_from_slice(&secret));
            true
        })
    })?;
    Ok(done.then_some(shared))
}

#[cfg(test)]
mod tests;
