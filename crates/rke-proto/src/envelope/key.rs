//! The key of an envelope, and its operations.

use std::borrow::Borrow;

use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use super::Envelope;
use crate::challenge::CHALLENGE_LEN;
use crate::cipher::{self, BLOCK_LEN, HMAC_LEN};
use crate::coin::AN_LEN;
use crate::header::TRAILER;

/// The key of an envelope, from the ANs of its coins.
pub enum EnvelopeKey {
    /// Type 0 has none.
    None,
    /// Type 1: the AN itself.
    Aes128(Secret<AN_LEN>),
    /// Types 4 and 5: SHA-256 over one or two ANs.
    Aes256(Secret<32>),
}

impl EnvelopeKey {
    /// Zeros in the place of an envelope's key, until [`EnvelopeKey::derive`].
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn zeros(envelope: Envelope) -> Result<Self, SecretError> {
        Ok(match envelope {
            Envelope::Type0 => Self::None,
            Envelope::Type1(_) => Self::Aes128(Secret::zeros()?),
            Envelope::Type4(_) | Envelope::Type5(..) => Self::Aes256(Secret::zeros()?),
        })
    }

    /// Makes the key in place, from the ANs of all coins that the envelope names, in their order.
    pub fn derive(&mut self, ans: &[impl Borrow<Secret<AN_LEN>>]) {
        let ans = ans.iter().map(Borrow::borrow);
        match self {
            Self::None => (),
            Self::Aes128(key) => {
                key.expose_mut(|key| ans.for_each(|an| an.expose(|an| key.copy_from_slice(an))));
            }
            Self::Aes256(key) => key.expose_mut(|key| {
                let mut hash = Sha256::new();
                ans.for_each(|an| an.expose(|an| hash.update(an)));
                hash.finalize_into(key.into());
            }),
        }
    }

    /// An envelope's key, from the ANs of all coins that it names, in their order.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn of(envelope: Envelope, ans: &[impl Borrow<Secret<AN_LEN>>]) -> Result<Self, SecretError> {
        let mut key = Self::zeros(envelope)?;
        key.derive(ans);
        Ok(key)
    }

    /// E of section 3: encrypts or decrypts in place.
    pub(super) fn apply(&self, counter_block: &[u8; BLOCK_LEN], data: &mut [u8]) {
        match self {
            Self::None => (),
            Self::Aes128(an) => an.expose(|an| cipher::aes128_ctr(an, counter_block, data)),
            Self::Aes256(key) => key.expose(|key| cipher::aes256_ctr(key, counter_block, data)),
        }
    }

    /// Writes HMAC (types 4 and 5) and trailer after the ciphertext.
    pub(super) fn write_tail(&self, ciphertext: &[u8], tail: &mut [u8]) {
        if let Self::Aes256(key) = self {
            tail[..HMAC_LEN].copy_from_slice(&key.expose(|key| cipher::hmac_sha256(key, &[ciphertext])));
        }
        let trailer_at = tail.len() - TRAILER.len();
        tail[trailer_at..].copy_from_slice(&TRAILER);
    }

    pub(super) fn tail_matches(&self, ciphertext: &[u8], tail: &[u8]) -> bool {
        match (self, tail.first_chunk::<HMAC_LEN>()) {
            (Self::Aes256(key), Some(tag)) => key.expose(|key| cipher::hmac_matches(key, &[ciphertext], tag)),
            (Self::Aes256(_), None) => false,
            (Self::None | Self::Aes128(_), tag) => tag.is_none(),
        }
    }

    /// The signature of a short response: challenge, or challenge XOR AN.
    pub(super) fn signature(&self, challenge: &[u8; CHALLENGE_LEN]) -> [u8; CHALLENGE_LEN] {
        let mut signature = *challenge;
        if let Self::Aes128(an) = self {
            an.expose(|an| signature.iter_mut().zip(an).for_each(|(byte, an)| *byte ^= an));
        }
        signature
    }
}
