//! The ciphers of the wire and of the sessions, in place: AES in counter mode and HMAC-SHA256.
//! `docs/protocol.md` sections 3, 4 and 7; the session's own use is in `docs/api.md`.

mod ctr;

use std::hint::black_box;
use std::sync::OnceLock;

use aes::cipher::KeyInit;
use aes::hazmat::{cipher_round, inv_mix_columns};
use aes::{Aes128Enc, Aes256Enc, Block};
use hmac::{Hmac, Mac};
use rke_secret::memory_scan::Fingerprint;
use rke_secret::{Secret, SecretError, StackUse};
use sha2::Sha256;

use self::ctr::apply;

/// Length of a counter block, and of a session's nonce.
pub const BLOCK_LEN: usize = 16;

/// Length of an HMAC-SHA256.
pub const HMAC_LEN: usize = 32;

/// AES-128-CTR over `data`, starting at `counter_block`. The same call encrypts and decrypts.
pub fn aes128_ctr(key: &[u8; 16], counter_block: &[u8; BLOCK_LEN], data: &mut [u8]) {
    apply(&Aes128Enc::new(key.into()), u128::from_be_bytes(*counter_block), 0, data);
}

/// How much of a scratch stack [`aes256_ctr`] needs, for uses of a key through a handle.
pub fn aes256_ctr_stack_use() -> StackUse {
    /// In blocks, over all processors.
    const MOST_AT_ONCE: usize = 64;
    static MEASURED: OnceLock<StackUse> = OnceLock::new();
    *MEASURED.get_or_init(|| {
        // Keeps the compiler from specialising the function for these arguments.
        let encrypt = black_box(aes256_ctr as fn(&[u8; 32], &[u8; BLOCK_LEN], &mut [u8]));
        let (key, mut data) = (black_box([0; 32]), vec![0; (2 * MOST_AT_ONCE + 1) * BLOCK_LEN]);
        // No carry, one in the first blocks, and one between blocks that are encrypted at once.
        let counters = [0, u128::MAX, u128::from(u64::MAX) - 100].map(u128::to_be_bytes);
        let all_it_does = || {
            // All possible numbers of blocks after the last whole group, and some longer messages,
            // with and without a partial block.
            let blocks = (0..=MOST_AT_ONCE).chain((MOST_AT_ONCE..=2 * MOST_AT_ONCE).step_by(7));
            for (blocks, part) in blocks.flat_map(|blocks| [(blocks, 0), (blocks, BLOCK_LEN - 1)]) {
                for counter in &counters {
                    encrypt(&key, counter, &mut data[..blocks * BLOCK_LEN + part]);
                }
            }
        };
        // Without secret memory no key exists either.
        StackUse::measure(all_it_does).unwrap_or(StackUse::UNKNOWN)
    })
}

/// AES-256-CTR over `data`, starting at `counter_block`. The same call encrypts and decrypts.
#[inline(never)]
pub fn aes256_ctr(key: &[u8; 32], counter_block: &[u8; BLOCK_LEN], data: &mut [u8]) {
    aes256_ctr_from(key, counter_block, 0, data);
}

/// AES-256-CTR over a part of a stream that begins at `counter_block`: over the bytes from `position` onwards. The
/// counter is the whole block and wraps around after its last value.
pub fn aes256_ctr_from(key: &[u8; 32], counter_block: &[u8; BLOCK_LEN], position: u64, data: &mut [u8]) {
    let (blocks, skip) = (position / BLOCK_LEN as u64, position % BLOCK_LEN as u64);
    let counter = u128::from_be_bytes(*counter_block).wrapping_add(blocks.into());
    apply(&expand_256(key), counter, skip as usize, data);
}

/// The key schedule, made in place. A separate function, because most of its frame is for processors without AES and
/// would stay below everything that follows: see `ctr::run`.
#[inline(never)]
fn expand_256(key: &[u8; 32]) -> Aes256Enc {
    Aes256Enc::new(key.into())
}

/// Adds everything that a key of AES-256 may leave in memory: each 16 bytes of its schedule, beginning with the
/// halves of the key, and each of them again with the bytes of every word reversed, as some implementations store
/// them.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn add_schedule(to: &mut Fingerprint, key: &Secret<32>) -> Result<(), SecretError> {
    let mut piece = Secret::<BLOCK_LEN>::zeros()?;
    key.expose(|key| {
        for_each_round_key(key, |round_key| {
            piece.expose_mut(|piece| piece.copy_from_slice(round_key));
            to.add(&piece);
        });
    });
    Ok(())
}

fn for_each_round_key(key: &[u8; 32], mut each: impl FnMut(&[u8; BLOCK_LEN])) {
    const WORDS: usize = 60;
    let mut words = [[0; 4]; WORDS];
    for (word, bytes) in words.iter_mut().zip(key.chunks_exact(4)) {
        word.copy_from_slice(bytes);
    }
    let mut round_constant = 1_u8;
    for at in 8..WORDS {
        let mut word = words[at - 1];
        if at % 8 == 0 {
            word.rotate_left(1);
            word = sub_word(word);
            word[0] ^= round_constant;
            round_constant <<= 1;
        } else if at % 8 == 4 {
            word = sub_word(word);
        }
        let before = words[at - 8];
        words[at] = std::array::from_fn(|byte| word[byte] ^ before[byte]);
    }
    for round_key in words.chunks_exact(4) {
        let bytes = |reversed: bool| -> [u8; BLOCK_LEN] {
            std::array::from_fn(|at| round_key[at / 4][if reversed { 3 - at % 4 } else { at % 4 }])
        };
        each(&bytes(false));
        each(&bytes(true));
    }
}

/// AES's S-box on each byte: one round without a key on four equal columns, the mixing undone.
fn sub_word(word: [u8; 4]) -> [u8; 4] {
    let mut block: Block = std::array::from_fn::<u8, BLOCK_LEN, _>(|at| word[at % 4]).into();
    cipher_round(&mut block, &Block::default());
    inv_mix_columns(&mut block);
    std::array::from_fn(|at| block[at])
}

/// HMAC-SHA256 over `parts`, one after the other. The tag is not secret by itself.
pub fn hmac_sha256(key: &[u8; HMAC_LEN], parts: &[&[u8]]) -> [u8; HMAC_LEN] {
    hmac_over(key, parts).finalize().into_bytes().into()
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

/// Whether `tag` is the HMAC-SHA256 of `parts`, in constant time.
pub fn hmac_matches(key: &[u8; 32], parts: &[&[u8]], tag: &[u8; HMAC_LEN]) -> bool {
    hmac_over(key, parts).verify(tag.into()).is_ok()
}

#[cfg(test)]
mod tests;
