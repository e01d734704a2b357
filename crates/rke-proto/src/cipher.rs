//! The ciphers of the wire and of the sessions, in place: AES in counter mode and HMAC-SHA256.
//! `docs/protocol.md` sections 3, 4 and 7; the session's own use is in `docs/api.md`.

use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128Enc, Aes256Enc};
use ctr::CtrCore;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Length of a counter block, and of a session's nonce.
pub const BLOCK_LEN: usize = 16;

/// Length of an HMAC-SHA256.
pub const HMAC_LEN: usize = 32;

type Ctr128<C> = StreamCipherCoreWrapper<CtrCore<C, ctr::flavors::Ctr128BE>>;

/// AES-128-CTR over `data`, starting at `counter_block`. The same call encrypts and decrypts.
pub fn aes128_ctr(key: &[u8; 16], counter_block: &[u8; BLOCK_LEN], data: &mut [u8]) {
    let core = CtrCore::inner_iv_init(Aes128Enc::new(key.into()), counter_block.into());
    Ctr128::<Aes128Enc>::from_core(core).apply_keystream(data);
}

/// AES-256-CTR over `data`, starting at `counter_block`. The same call encrypts and decrypts.
pub fn aes256_ctr(key: &[u8; 32], counter_block: &[u8; BLOCK_LEN], data: &mut [u8]) {
    let core = CtrCore::inner_iv_init(Aes256Enc::new(key.into()), counter_block.into());
    Ctr128::<Aes256Enc>::from_core(core).apply_keystream(data);
}

/// A keyed HMAC-SHA256 that has taken in `parts`, one after the other.
pub(crate) fn hmac_over(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC takes a key of any length, so this cannot fail.
    let mut mac = match <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    };
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// The HMAC-SHA256 of `data`, which is not secret itself.
pub fn hmac(key: &[u8; 32], data: &[u8]) -> [u8; HMAC_LEN] {
    hmac_over(key, &[data]).finalize().into_bytes().into()
}

/// Whether `tag` is the HMAC-SHA256 of `data`, in constant time.
pub fn hmac_matches(key: &[u8; 32], data: &[u8], tag: &[u8; HMAC_LEN]) -> bool {
    hmac_over(key, &[data]).verify(tag.into()).is_ok()
}
