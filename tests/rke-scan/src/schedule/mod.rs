//! AES key schedules: expansion of a known key into every form in which implementations keep it, and
//! a finder that knows no key. Written for looking, not for encrypting.

use aes::Block;
use aes::hazmat::{cipher_round, inv_mix_columns};

/// Length of an AES-256 key schedule.
pub(crate) const SCHEDULE_LEN: usize = 240;

/// Finds AES-256 key schedules in any memory.
pub(crate) struct Finder {
    s_box: [u8; 256],
}

impl Finder {
    pub(crate) fn new() -> Self {
        Self { s_box: std::array::from_fn(|byte| sub_byte(byte as u8)) }
    }

    /// The key schedule for encryption with a key of 16 or 32 bytes.
    pub(crate) fn expand(&self, key: &[u8]) -> Vec<u8> {
        let key_words = key.len() / 4;
        let words = 4 * (key_words + 7);
        let mut schedule = key.to_vec();
        let mut round_constant = 1_u8;
        for at in key_words..words {
            let mut word: [u8; 4] = std::array::from_fn(|byte| schedule[4 * (at - 1) + byte]);
            if at % key_words == 0 {
                word.rotate_left(1);
                word = word.map(|byte| self.s_box[usize::from(byte)]);
                word[0] ^= round_constant;
                round_constant = (round_constant << 1) ^ if round_constant & 0x80 == 0 { 0 } else { 0x1B };
            } else if key_words == 8 && at % 8 == 4 {
                word = word.map(|byte| self.s_box[usize::from(byte)]);
            }
            for byte in 0..4 {
                schedule.push(schedule[4 * (at - key_words) + byte] ^ word[byte]);
            }
        }
        schedule
    }

    /// How many key schedules lie in `bytes`, at any offset, with their words in either byte order.
    pub(crate) fn count(&self, bytes: &[u8]) -> usize {
        bytes
            .windows(SCHEDULE_LEN)
            .filter(|window| self.is_schedule(window) || self.is_reversed(window))
            .count()
    }

    /// The first words decide almost always; only then is the key expanded.
    fn is_schedule(&self, b: &[u8]) -> bool {
        let s = |at: usize| self.s_box[usize::from(b[at])];
        b[32] == b[0] ^ s(29) ^ 1
            && b[33] == b[1] ^ s(30)
            && b[34] == b[2] ^ s(31)
            && self.expand(&b[..32]) == b
    }

    fn is_reversed(&self, b: &[u8]) -> bool {
        let s = |at: usize| self.s_box[usize::from(b[at])];
        b[35] == b[3] ^ s(30) ^ 1
            && b[34] == b[2] ^ s(29)
            && b[33] == b[1] ^ s(28)
            && self.is_schedule(&reverse_words(b))
    }
}

/// The round keys of the equivalent inverse cipher: all but the first and last with their columns
/// unmixed.
pub(crate) fn decryption_form(schedule: &[u8]) -> Vec<u8> {
    let rounds = schedule.len() / 16;
    let mut out = Vec::with_capacity(schedule.len());
    for (round, key) in schedule.chunks_exact(16).enumerate() {
        let mut block: Block = std::array::from_fn::<u8, 16, _>(|at| key[at]).into();
        if round != 0 && round != rounds - 1 {
            inv_mix_columns(&mut block);
        }
        out.extend_from_slice(&block);
    }
    out
}

/// The same words, each with its bytes in the other order.
pub(crate) fn reverse_words(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(4).flat_map(|word| word.iter().rev().copied()).collect()
}

/// AES's S-box: a round without a key on sixteen equal bytes, which the mixing does not change.
fn sub_byte(byte: u8) -> u8 {
    let mut block: Block = [byte; 16].into();
    cipher_round(&mut block, &Block::default());
    block[0]
}

#[cfg(test)]
mod tests;
