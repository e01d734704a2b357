//! The ciphers of the wire and of the sessions, in place: AES in counter mode and HMAC-SHA256.
//! `docs/protocol.md` sections 3, 4 and 7; the session's own use is in `docs/api.md`.

mod ctr;

use std::hint::black_box;
use std::sync::OnceLock;

use aes::cipher::KeyInit;
use aes::hazmat::{cipher_round, inv_mix_columns};
use aes::{Aes128Enc, Aes256Enc, Block};
use hmac::{Hmac, Mac};
use rke_secret::residue::Fingerprint;
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

/// What [`aes256_ctr`] needs of a scratch stack, for those who use it with a key that somebody else owns.
pub fn aes256_ctr_stack_use() -> StackUse {
    /// Blocks, of any processor.
    const MOST_AT_ONCE: usize = 64;
    static MEASURED: OnceLock<StackUse> = OnceLock::new();
    *MEASURED.get_or_init(|| {
        // The compiler is not to make another function for what it knows of these.
        let encrypt = black_box(aes256_ctr as fn(&[u8; 32], &[u8; BLOCK_LEN], &mut [u8]));
        let (key, mut data) = (black_box([0; 32]), vec![0; (2 * MOST_AT_ONCE + 1) * BLOCK_LEN]);
        // No carry, one in the first blocks, and one between blocks that are encrypted at once.
        let counters = [0, u128::MAX, u128::from(u64::MAX) - 100].map(u128::to_be_bytes);
        let all_it_does = || {
            // All numbers of blocks that may be left over from those that are encrypted at once, and some after such,
            // with and without a part of one.
            let blocks = (0..=MOST_AT_ONCE).chain((MOST_AT_ONCE..=2 * MOST_AT_ONCE).step_by(7));
            for (blocks, part) in blocks.flat_map(|blocks| [(blocks, 0), (blocks, BLOCK_LEN - 1)]) {
                for counter in &counters {
                    encrypt(&key, counter, &mut data[..blocks * BLOCK_LEN + part]);
                }
            }
        };
        // Where there is no secret memory, there is no key to use either.
        StackUse::measure(all_it_does).unwrap_or(StackUse::UNKNOWN)
    })
}

/// AES-256-CTR over `data`, starting at `counter_block`. The same call encrypts and decrypts.
#[inline(never)]
pub fn aes256_ctr(key: &[u8; 32], counter_block: &[u8; BLOCK_LEN], data: &mut [u8]) {
    aes256_ctr_from(key, counter_block, 0, data);
}

/// AES-256-CTR over a part of a stream that begins at `counter_block`: over the bytes from `position`
/// on. The counter is the whole block and begins anew after its last value.
pub fn aes256_ctr_from(key: &[u8; 32], counter_block: &[u8; BLOCK_LEN], position: u64, data: &mut [u8]) {
    let (blocks, skip) = (position / BLOCK_LEN as u64, position % BLOCK_LEN as u64);
    let counter = u128::from_be_bytes(*counter_block).wrapping_add(blocks.into());
    apply(&expand_256(key), counter, skip as usize, data);
}

/// The key schedule, made in its final place. Apart, because most of its frame is there for processors without AES
/// and would lie beneath all that follows: see `ctr::run`.
#[inline(never)]
fn expand_256(key: &[u8; 32]) -> Aes256Enc {
    Aes256Enc::new(key.into())
}

/// Adds what a key of AES-256 may leave behind: each 16 bytes of its schedule, the key's own halves first, and each of
/// them a second time with the bytes of every word reversed, as some implementations keep them.
///
/// # Errors
/// [`SecretError`] when there is no secret memory left.
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
mod tests {
    use rke_secret::process::block_signals;

    use super::*;

    #[test]
    fn within_its_stack_use_it_leaves_nothing_on_the_stack() {
        block_signals().expect("signals to be blocked");
        let secret = Secret::random().expect("a secret");
        let carried_later = (u128::from(u64::MAX) - 80).to_be_bytes();
        for len in (0..1100).step_by(37).chain([1024, 2048, 5000, 100_000]) {
            for counter in [[7; BLOCK_LEN], [0xFF; BLOCK_LEN], carried_later] {
                let mut data = vec![0; len];
                let encrypted = secret.handle().expose_within(aes256_ctr_stack_use(), |key: &[u8; 32]| {
                    aes256_ctr(key, &counter, &mut data);
                });
                assert!(encrypted.is_some());
            }
        }
        // Nothing to look for but stacks that are not wiped.
        let look = Fingerprint::new().and_then(|nothing| nothing.look()).expect("a look");
        assert_eq!(look.hits, 0, "{look:?}");
    }

    #[test]
    fn a_stream_may_be_cut_anywhere() {
        // The counter comes to its end within the data, and begins anew.
        for nonce in [[0; BLOCK_LEN], [0xFF; BLOCK_LEN]] {
            let mut whole = [0xA5; 100];
            aes256_ctr(&[7; 32], &nonce, &mut whole);
            for cut in 0..=whole.len() {
                let mut parts = [0xA5; 100];
                let (first, second) = parts.split_at_mut(cut);
                aes256_ctr_from(&[7; 32], &nonce, 0, first);
                aes256_ctr_from(&[7; 32], &nonce, cut as u64, second);
                assert_eq!(parts, whole, "cut at {cut}");
            }
        }
        let mut far = [0; 32];
        aes256_ctr_from(&[7; 32], &[0; BLOCK_LEN], u64::MAX, &mut far);
        let mut counter = [0; BLOCK_LEN];
        counter[8] = 0x10;
        let mut near = [0; 31];
        aes256_ctr(&[7; 32], &counter, &mut near);
        assert_eq!(far[1..], near);
    }

    #[test]
    fn the_schedule_is_that_of_fips_197_appendix_a_3() {
        let key = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let key: [u8; 32] = key.expect("hex").try_into().expect("32 bytes");
        let mut pieces = Vec::new();
        for_each_round_key(&key, |piece| pieces.push(hex::encode(piece)));
        assert_eq!(pieces.len(), 30);
        assert_eq!(pieces[0], "603deb1015ca71be2b73aef0857d7781");
        assert_eq!(pieces[1], "10eb3d60be71ca15f0ae732b81777d85");
        assert_eq!(pieces[4], "9ba354118e6925afa51a8b5f2067fcde");
        assert_eq!(pieces[28], "fe4890d1e6188d0b046df344706c631e");
    }
}
