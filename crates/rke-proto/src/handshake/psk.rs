//! The pre-shared key of a handshake of kind 1: from the shares, and from the prologue that identifies them.
//! `docs/protocol.md` section 7, "psk".

use hmac::Mac;
use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use crate::cipher::hmac_over;
use crate::derive::{SECRET_LEN, ShareWidth, expand};

/// The psk for these shares, which are in the order of their RAIDAs, lowest first; narrow ones are the first byte of
/// their `Secret`.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn from_shares<'a>(
    shares: impl Iterator<Item = &'a Secret<SECRET_LEN>>,
    width: ShareWidth,
    prologue: &[u8],
) -> Result<Secret<SECRET_LEN>, SecretError> {
    let prologue: [u8; 32] = Sha256::digest(prologue).into();
    Secret::fill(|psk| {
        let mut extract = hmac_over(b"RKE-Exchange-v3.0", &[]);
        for share in shares {
            share.expose(|share| extract.update(&share[..width.share_len()]));
        }
        expand(&extract.finalize().into_bytes(), &[b"RKE-Psk-v3.0", &prologue], psk);
    })
}
