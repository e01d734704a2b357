//! The attacker's own implementation of the handshake, applied to the recording: it knows the psk, and assumes that
//! the ephemeral exchange adds nothing. `docs/protocol.md` section 7.

use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

const PUBLIC_KEY_LEN: usize = 1216;
const CIPHERTEXT_LEN: usize = 1120;

/// A connection that was recorded, taken apart.
pub(crate) struct Recorded<'a> {
    pub(crate) kind: u8,
    pub(crate) prologue: &'a [u8],
    message_1: &'a [u8],
    message_2: &'a [u8],
    to_server: &'a [u8],
    from_server: &'a [u8],
}

impl<'a> Recorded<'a> {
    /// `None` where it is not a handshake that was accepted.
    pub(crate) fn new(to_server: &'a [u8], from_server: &'a [u8]) -> Option<Self> {
        let (prologue, rest) = packet(to_server)?;
        let kind = prologue[4];
        if !matches!(kind, 1 | 2 | 5) {
            return None;
        }
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let (message_1, to_server) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        let (answer, from_server) = packet(from_server)?;
        let message_2 = answer.get(7..).filter(|_| answer[4] == 0x81)?;
        Some(Self { kind, prologue, message_1, message_2, to_server, from_server })
    }

    /// Everything that the psk opens if the ephemeral exchange is not part of the keys: all data of the records in
    /// both directions, and the session's key.
    pub(crate) fn open(&self, psk: &[u8; 32]) -> Option<Opened> {
        let mut state = State::begin(self.prologue, psk);
        let (public, sealed) = self.message_1.split_at_checked(PUBLIC_KEY_LEN)?;
        state.mix_hash(public);
        state.mix_key(public);
        state.open(sealed)?;
        let (ciphertext, sealed) = self.message_2.split_at_checked(CIPHERTEXT_LEN)?;
        state.mix_hash(ciphertext);
        state.mix_key(&[0; 32]);
        state.open(sealed)?;
        let [client, server] = hkdf(&state.ck, &[]);
        let mut data = records(&client, self.to_server);
        data.extend(records(&server, self.from_server));
        let key = expand(&state.ck, &[b"RKE-SessionKey-v3.0", &state.h]);
        Some(Opened { data, key })
    }
}

/// Data that an attacker has decrypted.
pub(crate) struct Opened {
    /// Data of both directions.
    pub(crate) data: Vec<u8>,
    /// K, after a handshake of kind 1 or 2.
    pub(crate) key: [u8; 32],
}

/// Splits a packet off the front.
fn packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = bytes.first_chunk::<7>().filter(|header| header.starts_with(b"RKE3"))?;
    bytes.split_at_checked(7 + usize::from(u16::from_be_bytes([header[5], header[6]])))
}

/// The data of the records of one direction, as far as they open.
fn records(key: &[u8; 32], mut bytes: &[u8]) -> Vec<u8> {
    let (mut data, mut number) = (Vec::new(), 0_u64);
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let Some((sealed, rest)) = rest.split_at_checked(u16::from_be_bytes(*len).into()) else { break };
        let Some(opened) = decrypt(key, number, &[], sealed) else { break };
        if opened.first() == Some(&0) {
            data.extend(&opened[1..]);
        }
        number += 1;
        bytes = rest;
    }
    data
}

struct State {
    ck: [u8; 32],
    h: [u8; 32],
    k: [u8; 32],
    n: u64,
}

impl State {
    fn begin(prologue: &[u8], psk: &[u8; 32]) -> Self {
        let h: [u8; 32] = Sha256::digest(b"Noise_pqNNpsk0_XWing_AESGCM_SHA256").into();
        let mut state = Self { ck: h, h, k: [0; 32], n: 0 };
        state.mix_hash(prologue);
        let [ck, to_hash, k] = hkdf(&state.ck, psk);
        (state.ck, state.k) = (ck, k);
        state.mix_hash(&to_hash);
        state
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.h = Sha256::new().chain_update(self.h).chain_update(data).finalize().into();
    }

    fn mix_key(&mut self, ikm: &[u8]) {
        let [ck, k] = hkdf(&self.ck, ikm);
        (self.ck, self.k, self.n) = (ck, k, 0);
    }

    fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let opened = decrypt(&self.k, self.n, &self.h, sealed)?;
        self.n += 1;
        self.mix_hash(sealed);
        Some(opened)
    }
}

pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = match <Hmac<Sha256> as KeyInit>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// HKDF-Expand of 32 bytes.
pub(crate) fn expand(key: &[u8], info: &[&[u8]]) -> [u8; 32] {
    hmac(key, &[info, &[&[1]]].concat())
}

fn hkdf<const N: usize>(ck: &[u8; 32], ikm: &[u8]) -> [[u8; 32]; N] {
    let temp_key = hmac(ck, &[ikm]);
    let (mut outputs, mut before) = ([[0; 32]; N], Vec::new());
    for (number, output) in (1_u8..).zip(&mut outputs) {
        *output = hmac(&temp_key, &[&before, &[number]]);
        before = output.to_vec();
    }
    outputs
}

fn decrypt(key: &[u8; 32], number: u64, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    let (mut opened, nonce) = (sealed.to_vec(), Nonce::assume_unique_for_key(nonce));
    let len = key.open_in_place(nonce, Aad::from(associated), &mut opened).ok()?.len();
    opened.truncate(len);
    Some(opened)
}
