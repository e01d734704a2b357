//! The symmetric state of `Noise_pqNNpsk0_XWing_AESGCM_SHA256` (Noise, revision 34). `docs/protocol.md` section 7.
//! Chaining key and cipher key lie in slots; everything derived from them is computed on stacks that are wiped.

use hmac::Mac;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use crate::cipher::hmac_over;
use crate::cursor::DecodeError;

/// The name of the protocol, which is hashed because it is longer than a hash.
const PROTOCOL_NAME: &[u8] = b"Noise_pqNNpsk0_XWing_AESGCM_SHA256";

/// Length of the tag of AES-256-GCM.
pub(super) const TAG_LEN: usize = 16;

const WRONG_TAG: DecodeError = DecodeError::Mismatch("the tag");

/// ck, h, k and n of Noise.
pub(super) struct SymmetricState {
    /// The chaining key.
    ck: Secret<32>,
    /// The handshake's hash. Not secret.
    h: [u8; 32],
    /// The cipher key. Every handshake here begins with a psk, so it is set before anything is encrypted.
    k: Secret<32>,
    /// The number of the next message under `k`.
    n: u64,
}

impl SymmetricState {
    /// `InitializeSymmetric`, `MixHash(prologue)`, and the psk token, with which both messages begin.
    pub(super) fn begin(prologue: &[u8], psk: &Secret<32>) -> Result<Self, SecretError> {
        let h: [u8; 32] = Sha256::digest(PROTOCOL_NAME).into();
        let ck = Secret::fill(|ck| *ck = h)?;
        let mut state = Self { ck, h, k: Secret::zeros()?, n: 0 };
        state.mix_hash(prologue);
        psk.expose(|psk| state.mix_key_and_hash(psk));
        Ok(state)
    }

    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.h = Sha256::new().chain_update(self.h).chain_update(data).finalize().into();
    }

    /// Call this where `ikm` is exposed, if it is secret.
    pub(super) fn mix_key(&mut self, ikm: &[u8]) {
        let (ck, k) = (&mut self.ck, &mut self.k);
        ck.expose_mut(|ck| k.expose_mut(|k| hkdf(ck, ikm, |ck, outputs| outputs.two(ck, k))));
        self.n = 0;
    }

    /// Call this where `psk` is exposed.
    fn mix_key_and_hash(&mut self, psk: &[u8; 32]) {
        let (ck, k) = (&mut self.ck, &mut self.k);
        // Neither ck nor k follows from it, but it could verify a guess at the psk, so it stays on this stack.
        let mut to_hash = [0; 32];
        ck.expose_mut(|ck| k.expose_mut(|k| hkdf(ck, psk, |ck, outputs| outputs.three(ck, &mut to_hash, k))));
        self.mix_hash(&to_hash);
        self.n = 0;
    }

    /// `EncryptAndHash`: appends ciphertext and tag to `out`.
    pub(super) fn encrypt_and_hash(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        let mut sealed = plaintext.to_vec();
        let (h, n) = (self.h, self.n);
        self.k.expose(|k| seal(k, n, &h, &mut sealed));
        self.n += 1;
        self.mix_hash(&sealed);
        out.append(&mut sealed);
    }

    /// `DecryptAndHash`.
    ///
    /// # Errors
    /// [`DecodeError::Mismatch`] where the tag is wrong.
    pub(super) fn decrypt_and_hash(&mut self, sealed: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut opened = sealed.to_vec();
        let (h, n) = (self.h, self.n);
        if !self.k.expose(|k| open(k, n, &h, &mut opened)) {
            return Err(WRONG_TAG);
        }
        self.n += 1;
        self.mix_hash(sealed);
        opened.truncate(sealed.len() - TAG_LEN);
        Ok(opened)
    }

    /// The chaining key as the handshake leaves it, and its hash.
    pub(super) fn finish(&self) -> (&Secret<32>, &[u8; 32]) {
        (&self.ck, &self.h)
    }

    #[cfg(test)]
    pub(super) fn cipher_key(&self) -> &Secret<32> {
        &self.k
    }

    /// `Split`: the keys of the client's and of the server's direction.
    pub(super) fn split(&self) -> Result<(CipherState, CipherState), SecretError> {
        let (mut first, mut second) = (CipherState::zeros()?, CipherState::zeros()?);
        self.ck.expose(|ck| {
            first.k.expose_mut(|first| {
                second.k.expose_mut(|second| {
                    let mut ck = *ck;
                    hkdf(&mut ck, &[], |_, outputs| outputs.two(first, second));
                });
            });
        });
        Ok((first, second))
    }
}

/// The key of one direction, and the number of its next message.
pub(super) struct CipherState {
    k: Secret<32>,
    n: u64,
}

impl CipherState {
    fn zeros() -> Result<Self, SecretError> {
        Ok(Self { k: Secret::zeros()?, n: 0 })
    }

    #[cfg(test)]
    pub(super) fn with_key(k: &Secret<32>) -> Result<Self, SecretError> {
        Ok(Self { k: k.duplicate()?, n: 0 })
    }

    /// Skips to the state after that many messages.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, n: u64) {
        self.n = n;
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &Secret<32> {
        &self.k
    }

    /// The number of messages so far.
    pub(super) fn count(&self) -> u64 {
        self.n
    }

    /// Encrypts in place, and appends the tag.
    pub(super) fn encrypt(&mut self, data: &mut [u8]) -> [u8; TAG_LEN] {
        let n = self.n;
        self.n += 1;
        self.k.expose(|k| seal_separate(k, n, &[], data))
    }

    /// Decrypts ciphertext and tag in place. Returns the length of the plaintext.
    ///
    /// # Errors
    /// [`DecodeError::Mismatch`] if the tag is wrong; the message number stays.
    pub(super) fn decrypt(&mut self, sealed: &mut [u8]) -> Result<usize, DecodeError> {
        let n = self.n;
        if !self.k.expose(|k| open(k, n, &[], sealed)) {
            return Err(WRONG_TAG);
        }
        self.n += 1;
        Ok(sealed.len() - TAG_LEN)
    }

    /// `Rekey`. The message number goes on.
    pub(super) fn rekey(&mut self) {
        self.k.expose_mut(|k| {
            let mut next = [0; 32];
            // The tag is left out.
            let _ = seal_separate(k, u64::MAX, &[], &mut next);
            *k = next;
        });
    }
}

/// The output of HKDF, block by block. Lives on the stack that the caller wipes.
struct Outputs {
    temp_key: [u8; 32],
}

impl Outputs {
    /// `HMAC(temp_key, before || number)`.
    fn block(&self, before: &[u8], number: u8, out: &mut [u8; 32]) {
        out.copy_from_slice(&hmac_over(&self.temp_key, &[before, &[number]]).finalize().into_bytes());
    }

    fn two(&self, first: &mut [u8; 32], second: &mut [u8; 32]) {
        self.block(&[], 1, first);
        self.block(first, 2, second);
    }

    fn three(&self, first: &mut [u8; 32], second: &mut [u8; 32], third: &mut [u8; 32]) {
        self.two(first, second);
        self.block(second, 3, third);
    }
}

/// Noise's HKDF with `ck` as its salt. `take` writes the outputs, the first of them to `ck`.
fn hkdf(ck: &mut [u8; 32], ikm: &[u8], take: impl FnOnce(&mut [u8; 32], &Outputs)) {
    let outputs = Outputs { temp_key: hmac_over(ck, &[ikm]).finalize().into_bytes().into() };
    take(ck, &outputs);
}

/// The cipher. ring holds the key with its schedule by value, on the caller's stack.
fn cipher(k: &[u8; 32]) -> LessSafeKey {
    match UnboundKey::new(&AES_256_GCM, k) {
        Ok(key) => LessSafeKey::new(key),
        Err(_) => unreachable!("AES-256-GCM takes keys of 32 bytes"),
    }
}

/// Four zero bytes and the number, big-endian.
fn nonce(n: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[4..].copy_from_slice(&n.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn seal_separate(k: &[u8; 32], n: u64, associated: &[u8], data: &mut [u8]) -> [u8; TAG_LEN] {
    let tag = cipher(k).seal_in_place_separate_tag(nonce(n), Aad::from(associated), data);
    let mut bytes = [0; TAG_LEN];
    match tag {
        Ok(tag) => bytes.copy_from_slice(tag.as_ref()),
        Err(_) => unreachable!("a message is far shorter than AES-GCM's limit"),
    }
    bytes
}

fn seal(k: &[u8; 32], n: u64, associated: &[u8], data: &mut Vec<u8>) {
    let tag = seal_separate(k, n, associated, data);
    data.extend(tag);
}

/// Verifies the tag at the end, and if it is right, decrypts the data before it.
fn open(k: &[u8; 32], n: u64, associated: &[u8], data: &mut [u8]) -> bool {
    cipher(k).open_in_place(nonce(n), Aad::from(associated), data).is_ok()
}
