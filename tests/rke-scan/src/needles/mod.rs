//! The needles: every secret of every session, in every form in which code is known to store it, as windows of 8 of
//! its bytes. Half an AES key in a register, or a word spilled to a stack, is a hit.

mod secret;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::block_api::compress256;

pub(crate) use self::secret::Secret;
use crate::ghash;
use crate::lattice::Poly;
use crate::schedule::{Finder, decryption_form, reverse_words};

const WINDOW: usize = 8;
/// Eight bytes as text. Half of that is 32 bits, which the tables of a program match by chance. The same holds for
/// small digits in a byte each.
const LONG_WINDOW: usize = 2 * WINDOW;
/// The pattern that the fault `paint` fills scratch stacks with, and the shortest run of it that is not a
/// coincidence.
const PAINT: u8 = 0xA5;
const LEAST_PAINT: usize = 4;
/// A bit for each value of that many bits of a window's hash, to skip non-needles quickly.
const FEWEST_FILTER_BITS: u32 = 25;
const MOST_FILTER_BITS: u32 = 30;
/// Bits of the filter for each needle: with fewer, most of memory would have to be looked up.
const BITS_EACH: usize = 16;

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
    /// As it is in responses, and as commands get it.
    Base64,
    /// A polynomial of ML-KEM, two bytes for each coefficient.
    Coefficients,
    /// A number modulo 2^255 - 19, in words of 51 bits.
    Limbs,
    /// X25519's key, as digits from -8 to 7.
    Digits,
}

/// The name of a hit in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Label(pub(crate) Secret, pub(crate) Form);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.0, self.1)
    }
}

/// One secret in one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source(u32);

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

/// The set of all windows. It only grows: a wiped secret must not reappear.
pub(crate) struct Needles {
    filter: Vec<u64>,
    filter_bits: u32,
    windows: HashMap<u64, Source, BuildHasherDefault<Spread>>,
    long_windows: HashMap<[u8; LONG_WINDOW], Source>,
    sources: Vec<Label>,
    /// The bytes of each source, if they are needed later.
    forms: Option<Vec<Vec<u8>>>,
    finder: Finder,
    /// Whether paint is looked for, with which the scratch stacks were filled.
    paint: bool,
}

impl Needles {
    pub(crate) fn new() -> Self {
        let (windows, long_windows) = (HashMap::default(), HashMap::new());
        let (filter, filter_bits) = (empty_filter(FEWEST_FILTER_BITS), FEWEST_FILTER_BITS);
        let (sources, finder) = (Vec::new(), Finder::new());
        Self { filter, filter_bits, windows, long_windows, sources, forms: None, finder, paint: false }
    }

    /// The same with painted scratch stacks.
    pub(crate) fn for_paint() -> Self {
        Self { paint: true, ..Self::new() }
    }

    /// The same, with a copy of all that is looked for.
    pub(crate) fn that_keep_forms() -> Self {
        Self { forms: Some(Vec::new()), ..Self::new() }
    }

    /// Every form of every secret, if copies are kept.
    pub(crate) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.forms.iter().flatten().map(Vec::as_slice)
    }

    /// Every kind of secret and form that is looked for.
    pub(crate) fn labels(&self) -> BTreeSet<Label> {
        self.sources.iter().copied().collect()
    }

    /// A secret in every form in which code stores one of its kind. Returns the needles of its plain form.
    pub(crate) fn add(&mut self, secret: Secret, bytes: &[u8]) -> Source {
        let plain = self.add_windows(Label(secret, Form::Plain), bytes, 1);
        self.add_windows(Label(secret, Form::Reversed), &reverse_words(bytes), 4);
        if secret.is_aes_key() {
            self.add_aes_key(secret, bytes);
        }
        if secret.is_gcm_key() {
            for form in ghash::forms(bytes) {
                self.add_windows(Label(Secret::GhashKey, Form::Plain), &form, 4);
            }
        }
        if secret.is_hmac_key() {
            self.add_hmac_key(secret, bytes);
        }
        if secret.is_told() {
            self.add_hex(secret, bytes);
        }
        if secret.leaves() {
            self.add_long_windows(Label(secret, Form::Base64), STANDARD.encode(bytes).as_bytes());
        }
        plain
    }

    /// Padded as HMAC-SHA256 does it with a key, and the states after that.
    fn add_hmac_key(&mut self, secret: Secret, key: &[u8]) {
        for pad in [0x36, 0x5C] {
            let mut block = [pad; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            self.add_windows(Label(secret, Form::HmacPad), &block[..key.len()], 1);
            self.add_windows(Label(secret, Form::HmacPad), &reverse_words(&block[..key.len()]), 4);
            let mut state = SHA256_START;
            compress256(&mut state, &[block]);
            // The order of the words in the registers of processors with SHA instructions.
            let paired = [5, 4, 1, 0, 7, 6, 3, 2].map(|at: usize| state[at]);
            for words in [state, paired] {
                let little: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let big: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                self.add_windows(Label(secret, Form::HmacState), &little, 4);
                self.add_windows(Label(secret, Form::HmacState), &big, 4);
            }
        }
    }

    /// The round keys for both directions in both byte orders.
    fn add_aes_key(&mut self, secret: Secret, key: &[u8]) {
        let schedule = self.finder.expand(key);
        let inverse = decryption_form(&schedule);
        // The first and the last round key of the inverse cipher are those of the cipher.
        let unlike = 16..schedule.len() - 16;
        for (form, bytes) in
            [(Form::Schedule, &schedule[key.len()..]), (Form::DecryptionSchedule, &inverse[unlike])]
        {
            self.add_windows(Label(secret, form), bytes, 4);
            self.add_windows(Label(secret, form), &reverse_words(bytes), 4);
        }
    }

    fn add_hex(&mut self, secret: Secret, bytes: &[u8]) {
        let text = hex::encode(bytes);
        for text in [text.to_uppercase(), text] {
            self.add_long_windows(Label(secret, Form::Hex), text.as_bytes());
        }
    }

    /// A polynomial of ML-KEM as code holds it.
    pub(crate) fn add_coefficients(&mut self, secret: Secret, poly: &Poly) {
        let bytes: Vec<u8> = poly.iter().flat_map(|coefficient| coefficient.to_le_bytes()).collect();
        self.add_windows(Label(secret, Form::Coefficients), &bytes, 2);
    }

    /// A key of X25519, and the values derived from it.
    pub(crate) fn add_scalar(&mut self, secret: Secret, scalar: &[u8; 32]) {
        self.add(secret, scalar);
        let mut clamped = *scalar;
        clamped[0] &= 0xF8;
        clamped[31] = clamped[31] & 0x7F | 0x40;
        self.add(secret, &clamped);
        let mut carry = 0;
        let digits: Vec<u8> = clamped
            .iter()
            .flat_map(|byte| [byte & 15, byte >> 4])
            .map(|digit| {
                let digit = digit as i8 + carry;
                carry = (digit + 8) >> 4;
                (digit - (carry << 4)) as u8
            })
            .collect();
        self.add_long_windows(Label(secret, Form::Digits), &digits);
    }

    /// A number modulo 2^255 - 19, as code works on it.
    pub(crate) fn add_field_element(&mut self, secret: Secret, bytes: &[u8; 32]) {
        let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
        let limb = |first: usize| (0..51).fold(0, |sum, at| sum | bit(first + at) << at);
        let limbs: Vec<u8> = (0..5).flat_map(|at| limb(51 * at).to_le_bytes()).collect();
        self.add_windows(Label(secret, Form::Limbs), &limbs, WINDOW);
    }

    /// Returns what the first window is found by: another source where it was there before.
    fn add_windows(&mut self, label: Label, bytes: &[u8], stride: usize) -> Source {
        let source = self.next_source(label, bytes);
        let mut first = None;
        for window in bytes.windows(WINDOW).step_by(stride) {
            let mut distinct = [false; 256];
            window.iter().for_each(|byte| distinct[usize::from(*byte)] = true);
            if distinct.iter().filter(|seen| **seen).count() < 4 {
                continue;
            }
            let window = read_window(window);
            first.get_or_insert(*self.windows.entry(window).or_insert(source));
            self.let_pass(window);
        }
        first.unwrap_or(source)
    }

    fn add_long_windows(&mut self, label: Label, bytes: &[u8]) {
        let source = self.next_source(label, bytes);
        for window in bytes.windows(LONG_WINDOW) {
            let Some(window) = window.first_chunk() else { continue };
            self.long_windows.entry(*window).or_insert(source);
            self.let_pass(read_window(window));
        }
    }

    fn next_source(&mut self, label: Label, bytes: &[u8]) -> Source {
        self.sources.push(label);
        if let Some(forms) = &mut self.forms {
            forms.push(bytes.to_vec());
        }
        Source(self.sources.len() as u32 - 1)
    }

    fn let_pass(&mut self, window: u64) {
        let len = self.windows.len() + self.long_windows.len();
        if len * BITS_EACH > 1 << self.filter_bits && self.filter_bits < MOST_FILTER_BITS {
            self.widen_filter();
        }
        set(&mut self.filter, self.filter_bits, window);
    }

    fn widen_filter(&mut self) {
        self.filter_bits += 1;
        self.filter = empty_filter(self.filter_bits);
        let long = self.long_windows.keys().map(|window| read_window(window));
        for window in self.windows.keys().copied().chain(long) {
            set(&mut self.filter, self.filter_bits, window);
        }
    }

    /// Windows in `bytes` that are a part of a secret.
    pub(crate) fn find<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, Source)> + 'a {
        bytes.windows(WINDOW).enumerate().filter_map(|(at, window)| {
            let window = read_window(window);
            let bit = spread(window) >> (64 - self.filter_bits);
            if self.filter[(bit / 64) as usize] >> (bit % 64) & 1 == 0 {
                return None;
            }
            let source = self.windows.get(&window).copied().or_else(|| self.find_long(&bytes[at..]));
            source.map(|source| (at, source))
        })
    }

    fn find_long(&self, bytes: &[u8]) -> Option<Source> {
        self.long_windows.get(bytes.first_chunk::<LONG_WINDOW>()?).copied()
    }

    /// The secrets found.
    pub(crate) fn label(&self, source: Source) -> Label {
        self.sources[source.0 as usize]
    }

    /// The start of paint that was copied off a scratch stack. It is in the place of bytes that a secret would have
    /// left.
    pub(crate) fn find_paint<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let is_start = |at: usize| at == 0 || bytes[at - 1] != PAINT;
        let found =
            bytes.windows(LEAST_PAINT).enumerate().filter(|(_, window)| *window == [PAINT; LEAST_PAINT]);
        found.map(|(at, _)| at).filter(move |at| self.paint && is_start(*at))
    }

    /// How many AES-256 key schedules lie in `bytes`, of whatever key.
    pub(crate) fn schedules(&self, bytes: &[u8]) -> usize {
        self.finder.count(bytes)
    }
}

fn empty_filter(bits: u32) -> Vec<u64> {
    vec![0; 1 << (bits - 6)]
}

fn set(filter: &mut [u64], bits: u32, window: u64) {
    let bit = spread(window) >> (64 - bits);
    filter[(bit / 64) as usize] |= 1 << (bit % 64);
}

const SHA256_START: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];

fn read_window(window: &[u8]) -> u64 {
    window.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
