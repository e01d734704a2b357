//! What is looked for: every secret of every session, in every form in which code is known to keep
//! it, as windows of 8 of its bytes. Half an AES key in a register, or a word spilled to a stack, is a hit.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use sha2::block_api::compress256;

use crate::schedule::{Finder, decryption_form, reverse_words};

const WINDOW: usize = 8;
/// Eight bytes as text. Half of that is 32 bits, and the tables of a program meet those by chance.
const HEX_WINDOW: usize = 2 * WINDOW;
/// One bit for each value of this many bits of a window's hash, to pass over what is no needle.
const FILTER_BITS: u32 = 25;

/// What a window is a part of.
#[expect(clippy::enum_variant_names, reason = "these are the protocol's names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Secret {
    An,
    EnvelopeKey,
    Share,
    ShareSum,
    SessionKey,
    MasterSecret,
    CacheMasterKey,
    AuditKey,
    StreamKey,
    GhashKey,
}

/// The form in which it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Form {
    Plain,
    Reversed,
    HmacPad,
    HmacState,
    Schedule,
    DecryptionSchedule,
    Hex,
}

/// What a hit is called in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Label(pub(crate) Secret, pub(crate) Form);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.0, self.1)
    }
}

/// Windows are random already.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = (self.0 << 8) | u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = spread(value);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn spread(value: u64) -> u64 {
    value.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The set of all windows that are looked for. It only grows: what is gone must stay gone.
pub(crate) struct Needles {
    filter: Vec<u64>,
    windows: HashMap<u64, Label, BuildHasherDefault<Spread>>,
    hex_windows: HashMap<[u8; HEX_WINDOW], Secret>,
    finder: Finder,
}

impl Needles {
    pub(crate) fn new() -> Self {
        let filter = vec![0; 1 << (FILTER_BITS - 6)];
        let (windows, hex_windows) = (HashMap::default(), HashMap::new());
        Self { filter, windows, hex_windows, finder: Finder::new() }
    }

    /// A secret as it is, and with the bytes of its words reversed.
    pub(crate) fn add_plain(&mut self, secret: Secret, bytes: &[u8]) {
        self.add(Label(secret, Form::Plain), bytes, 1);
        self.add(Label(secret, Form::Reversed), &reverse_words(bytes), 4);
    }

    /// A secret that is used as a key of HMAC-SHA256: its padded forms, and the states after them.
    pub(crate) fn add_hmac_key(&mut self, secret: Secret, key: &[u8]) {
        for pad in [0x36, 0x5C] {
            let mut block = [pad; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            self.add(Label(secret, Form::HmacPad), &block[..key.len()], 1);
            self.add(Label(secret, Form::HmacPad), &reverse_words(&block[..key.len()]), 4);
            let mut state = SHA256_START;
            compress256(&mut state, &[block]);
            // The order of the words in the registers of processors with SHA instructions.
            let paired = [5, 4, 1, 0, 7, 6, 3, 2].map(|at: usize| state[at]);
            for words in [state, paired] {
                let little: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let big: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                self.add(Label(secret, Form::HmacState), &little, 4);
                self.add(Label(secret, Form::HmacState), &big, 4);
            }
        }
    }

    /// A secret that is used as an AES key: its round keys for both directions in both byte orders.
    pub(crate) fn add_aes_key(&mut self, secret: Secret, key: &[u8]) {
        let schedule = self.finder.expand(key);
        let inverse = decryption_form(&schedule);
        // The first and the last round key of the inverse cipher are those of the cipher.
        let unlike = 16..schedule.len() - 16;
        for (form, bytes) in
            [(Form::Schedule, &schedule[key.len()..]), (Form::DecryptionSchedule, &inverse[unlike])]
        {
            self.add(Label(secret, form), bytes, 4);
            self.add(Label(secret, form), &reverse_words(bytes), 4);
        }
    }

    pub(crate) fn add_hex(&mut self, secret: Secret, bytes: &[u8]) {
        let text = hex::encode(bytes);
        for text in [text.to_uppercase(), text] {
            for window in text.as_bytes().windows(HEX_WINDOW) {
                let Some(window) = window.first_chunk() else { continue };
                self.let_pass(read_window(window));
                self.hex_windows.entry(*window).or_insert(secret);
            }
        }
    }

    fn add(&mut self, label: Label, bytes: &[u8], stride: usize) {
        for window in bytes.windows(WINDOW).step_by(stride) {
            let mut distinct = [false; 256];
            window.iter().for_each(|byte| distinct[usize::from(*byte)] = true);
            if distinct.iter().filter(|seen| **seen).count() < 4 {
                continue;
            }
            let window = read_window(window);
            self.let_pass(window);
            self.windows.entry(window).or_insert(label);
        }
    }

    fn let_pass(&mut self, window: u64) {
        let bit = spread(window) >> (64 - FILTER_BITS);
        self.filter[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    /// Windows in `bytes` that are a part of a secret.
    pub(crate) fn find<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, Label)> + 'a {
        bytes.windows(WINDOW).enumerate().filter_map(|(at, window)| {
            let window = read_window(window);
            let bit = spread(window) >> (64 - FILTER_BITS);
            if self.filter[(bit / 64) as usize] >> (bit % 64) & 1 == 0 {
                return None;
            }
            let label = self.windows.get(&window).copied().or_else(|| self.find_hex(&bytes[at..]));
            label.map(|label| (at, label))
        })
    }

    fn find_hex(&self, bytes: &[u8]) -> Option<Label> {
        let secret = self.hex_windows.get(bytes.first_chunk::<HEX_WINDOW>()?)?;
        Some(Label(*secret, Form::Hex))
    }

    /// How many AES-256 key schedules lie in `bytes`, of whatever key.
    pub(crate) fn schedules(&self, bytes: &[u8]) -> usize {
        self.finder.count(bytes)
    }
}

const SHA256_START: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];

fn read_window(window: &[u8]) -> u64 {
    window.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [
        0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f,
        0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
    ];

    fn needles() -> Needles {
        let mut needles = Needles::new();
        needles.add_plain(Secret::SessionKey, &KEY);
        needles.add_hmac_key(Secret::SessionKey, &KEY);
        needles.add_aes_key(Secret::SessionKey, &KEY);
        needles.add_hex(Secret::SessionKey, &KEY);
        needles
    }

    fn forms(needles: &Needles, bytes: &[u8]) -> Vec<Form> {
        let mut memory = vec![0; 100];
        memory.extend_from_slice(bytes);
        memory.extend_from_slice(&[0; 100]);
        let mut forms: Vec<Form> = needles.find(&memory).map(|(_, label)| label.1).collect();
        forms.sort();
        forms.dedup();
        forms
    }

    #[test]
    fn finds_every_form_and_halves_of_them() {
        let needles = needles();
        let schedule = Finder::new().expand(&KEY);
        assert_eq!(forms(&needles, &KEY[16..]), [Form::Plain]);
        assert_eq!(forms(&needles, &KEY[5..13]), [Form::Plain]);
        assert_eq!(forms(&needles, &reverse_words(&KEY)[..16]), [Form::Reversed]);
        assert_eq!(forms(&needles, &KEY.map(|byte| byte ^ 0x5C)[..8]), [Form::HmacPad]);
        assert_eq!(forms(&needles, &schedule[96..112]), [Form::Schedule]);
        assert_eq!(forms(&needles, &decryption_form(&schedule)[96..112]), [Form::DecryptionSchedule]);
        assert_eq!(forms(&needles, &hex::encode_upper(KEY).as_bytes()[7..30]), [Form::Hex]);
        assert_eq!(forms(&needles, &KEY.map(|byte| byte ^ 1)), []);
    }

    #[test]
    fn half_a_window_of_hex_is_no_hit() {
        let text = hex::encode(KEY);
        assert_eq!(forms(&needles(), &text.as_bytes()[..15]), []);
        assert_eq!(forms(&needles(), &text.as_bytes()[..16]), [Form::Hex]);
    }

    #[test]
    fn hmac_states_are_those_that_sha256_goes_through() {
        use sha2::digest::common::hazmat::SerializableState;
        use sha2::{Digest, Sha256};
        let block: Vec<u8> = KEY.iter().map(|byte| byte ^ 0x36).chain([0x36; 32]).collect();
        let state = Sha256::new_with_prefix(block).serialize();
        assert_eq!(forms(&needles(), &state[..32]), [Form::HmacState]);
    }

    #[test]
    fn windows_of_few_different_bytes_are_no_needles() {
        let mut needles = Needles::new();
        needles.add_plain(Secret::Share, &[7; 32]);
        assert_eq!(needles.windows.len(), 0);
    }
}
