//! Imports a key for TLS 1.3, as RFC 9258 says. Everything is written in place, from where the key is exposed.

use hmac::Mac;
use sha2::{Digest, Sha256};

use super::{KEY_LEN, Name};
use crate::cipher::{HMAC_LEN, hmac_over};

/// The version of TLS that a key is imported for.
const TLS_1_3: [u8; 2] = [3, 4];

/// What a key is imported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kdf {
    /// Cipher suites with SHA-256, whose key has 32 bytes.
    Sha256,
    /// Cipher suites with SHA-384, whose key has 48 bytes.
    Sha384,
}

impl Kdf {
    /// Its number in RFC 9258.
    fn number(self) -> [u8; 2] {
        match self {
            Self::Sha256 => [0, 1],
            Self::Sha384 => [0, 2],
        }
    }

    /// Length of an imported key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// Writes the imported key to the start of `out`, which has room for the longest one. The key's own hash is SHA-256, and the
/// context of the import is empty.
pub fn import(key: &[u8; KEY_LEN], name: &Name, kdf: Kdf, out: &mut [u8; 48]) {
    let label = label(name, kdf);
    let hmac = |key: &[u8], parts: &[&[u8]]| hmac_over(key, parts).finalize().into_bytes();
    let extracted = hmac(&[0; HMAC_LEN], &[key]);
    let first = hmac(&extracted, &[&label, &[1]]);
    let second = hmac(&extracted, &[&first, &label, &[2]]);
    let (begin, rest) = out.split_at_mut(HMAC_LEN);
    begin.copy_from_slice(&first);
    let more = kdf.key_len() - HMAC_LEN;
    rest[..more].copy_from_slice(&second[..more]);
}

/// The `HkdfLabel` of RFC 8446 section 7.1, with the hash of the `ImportedIdentity` of RFC 9258 section 5.1.
fn label(name: &Name, kdf: Kdf) -> Vec<u8> {
    let external = name.as_str().as_bytes();
    let identity = Sha256::new()
        .chain_update((external.len() as u16).to_be_bytes())
        .chain_update(external)
        .chain_update([0, 0])
        .chain_update(TLS_1_3)
        .chain_update(kdf.number())
        .finalize();
    let text = b"tls13 derived psk";
    let len = (kdf.key_len() as u16).to_be_bytes();
    [&len[..], &[text.len() as u8], text, &[identity.len() as u8], &identity].concat()
}
