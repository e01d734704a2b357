//! What is looked for: every secret of every session, in every form in which code is known to keep
//! it, as windows of 8 of its bytes. Half an AES key in a register, or a word spilled to a stack, is a hit.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use clap::ValueEnum;
use sha2::block_api::compress256;

use crate::ghash;
use crate::lattice::Poly;
use crate::schedule::{Finder, decryption_form, reverse_words};

const WINDOW: usize = 8;
/// Eight bytes as text. Half of that is 32 bits, and the tables of a program meet those by chance. The same goes for
/// small digits in a byte each.
const LONG_WINDOW: usize = 2 * WINDOW;
/// What the control `paint` fills scratch stacks with, and how much of it in a row is no chance.
const PAINT: u8 = 0xA5;
const LEAST_PAINT: usize = 4;
/// One bit for each value of that many bits of a window's hash, to pass over what is no needle.
const FEWEST_FILTER_BITS: u32 = 25;
const MOST_FILTER_BITS: u32 = 30;
/// Bits of the filter for each needle: with fewer, most of memory would have to be looked up.
const BITS_EACH: usize = 16;

/// What a window is a part of.
#[expect(clippy::enum_variant_names, reason = "these are the protocol's names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Secret {
    An,
    EnvelopeKey,
    Share,
    /// What HKDF extracts from the shares.
    ExchangeKey,
    Psk,
    /// What Noise hashes for the psk.
    PskHash,
    /// Of an ephemeral key of X-Wing, and what it expands to.
    Seed,
    ExpandedSeed,
    MlKemKey,
    X25519Key,
    /// What an encapsulation sends, and what it is encrypted with.
    MlKemMessage,
    MlKemShared,
    X25519Shared,
    SharedSecret,
    /// Noise's chaining key and the outputs of its HKDF.
    ChainingKey,
    TemporaryKey,
    HandshakeKey,
    TransportKey,
    /// K.
    SessionKey,
    Resumption,
    CtrKey,
    SealKey,
    ExportKey,
    MasterSecret,
    CacheMasterKey,
    AuditKey,
    StreamKey,
    GhashKey,
}

impl Secret {
    fn is_aes_key(self) -> bool {
        use Secret::{
            An, CacheMasterKey, CtrKey, EnvelopeKey, HandshakeKey, SessionKey, StreamKey, TransportKey,
        };
        matches!(
            self,
            An | EnvelopeKey | HandshakeKey | TransportKey | SessionKey | CtrKey | CacheMasterKey | StreamKey
        )
    }

    /// Whether AES-GCM works with it.
    fn is_gcm_key(self) -> bool {
        matches!(self, Self::HandshakeKey | Self::TransportKey | Self::StreamKey)
    }

    fn is_hmac_key(self) -> bool {
        use Secret::{
            AuditKey, CacheMasterKey, ChainingKey, EnvelopeKey, ExchangeKey, MasterSecret, Psk, Resumption,
            SealKey, SessionKey, Share, TemporaryKey,
        };
        matches!(
            self,
            EnvelopeKey
                | Share
                | ExchangeKey
                | Psk
                | ChainingKey
                | TemporaryKey
                | SessionKey
                | Resumption
                | SealKey
                | MasterSecret
                | CacheMasterKey
                | AuditKey
        )
    }

    /// Whether text may be made of it: in JSON, in a file, in a log line.
    fn is_told(self) -> bool {
        use Secret::{CtrKey, ExportKey, MasterSecret, Psk, Resumption, SealKey, SessionKey, SharedSecret};
        matches!(
            self,
            SessionKey | CtrKey | SealKey | ExportKey | Resumption | MasterSecret | Psk | SharedSecret
        )
    }
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
    /// A polynomial of ML-KEM, two bytes for each coefficient.
    Coefficients,
    /// A number modulo 2^255 - 19, in words of 51 bits.
    Limbs,
    /// X25519's key, as digits from -8 to 7.
    Digits,
}

/// What a hit is called in the report.
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

/// The set of all windows that are looked for. It only grows: what is gone must stay gone.
pub(crate) struct Needles {
    filter: Vec<u64>,
    filter_bits: u32,
    windows: HashMap<u64, Source, BuildHasherDefault<Spread>>,
    long_windows: HashMap<[u8; LONG_WINDOW], Source>,
    sources: Vec<Label>,
    /// The bytes of each source, where they are to be known later.
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

    /// The same, where scratch stacks are painted.
    pub(crate) fn for_paint() -> Self {
        Self { paint: true, ..Self::new() }
    }

    /// The same, with a copy of all that is looked for.
    pub(crate) fn that_keep_forms() -> Self {
        Self { forms: Some(Vec::new()), ..Self::new() }
    }

    /// Every form of every secret, where copies are kept.
    pub(crate) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.forms.iter().flatten().map(Vec::as_slice)
    }

    /// Every kind of secret and form that is looked for.
    pub(crate) fn labels(&self) -> BTreeSet<Label> {
        self.sources.iter().copied().collect()
    }

    /// A secret in every form in which code keeps one of its kind. Gives what it is found by as it is.
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

    /// A key of X25519, and what is made of it.
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

    /// Gives what the first window is found by: another source where it was there before.
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

    /// What was found by it.
    pub(crate) fn label(&self, source: Source) -> Label {
        self.sources[source.0 as usize]
    }

    /// Where paint begins that was copied off a scratch stack. It lies in place of what a secret would have left there.
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
mod tests {
    use super::*;

    const KEY: [u8; 32] = [
        0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f,
        0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
    ];

    fn needles() -> Needles {
        let mut needles = Needles::new();
        needles.add(Secret::SessionKey, &KEY);
        needles
    }

    fn forms(needles: &Needles, bytes: &[u8]) -> Vec<Form> {
        let mut memory = vec![0; 100];
        memory.extend_from_slice(bytes);
        memory.extend_from_slice(&[0; 100]);
        let mut forms: Vec<Form> = needles.find(&memory).map(|(_, source)| needles.label(source).1).collect();
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
        needles.add_windows(Label(Secret::Share, Form::Plain), &[7; 32], 1);
        assert_eq!(needles.windows.len(), 0);
    }

    #[test]
    fn a_secret_that_was_added_before_is_found_by_its_first_name() {
        let mut needles = needles();
        let names = [(); 2].map(|()| needles.add(Secret::Psk, &KEY));
        assert_eq!(names[0], names[1]);
        assert_eq!(needles.label(names[0]), Label(Secret::SessionKey, Form::Plain));
        assert!(needles.find(&KEY).all(|(_, source)| source == names[0]));
    }

    #[test]
    fn a_wider_filter_lets_pass_what_passed_before() {
        let mut needles = needles();
        needles.widen_filter();
        assert_eq!(forms(&needles, &KEY[5..13]), [Form::Plain]);
        assert_eq!(forms(&needles, &hex::encode_upper(KEY).as_bytes()[7..30]), [Form::Hex]);
    }

    /// From the last digit on: each byte's two, less what the one before has lent.
    fn digits_of_the_key() -> Vec<u8> {
        let mut clamped = KEY;
        (clamped[0], clamped[31]) = (KEY[0] & 0xF8, KEY[31] & 0x7F | 0x40);
        let (mut digits, mut lent) = (Vec::new(), 0);
        for nibble in clamped.iter().flat_map(|byte| [i16::from(byte % 16), i16::from(byte / 16)]) {
            let digit = nibble + lent;
            lent = i16::from(digit > 7);
            digits.push((digit - 16 * lent) as i8 as u8);
        }
        digits
    }

    #[test]
    fn numbers_of_the_key_encapsulation_are_found_as_code_holds_them() {
        let mut needles = Needles::new();
        needles.add_scalar(Secret::X25519Key, &KEY);
        assert_eq!(forms(&needles, &KEY[..8]), [Form::Plain]);
        assert_eq!(forms(&needles, &digits_of_the_key()[20..36]), [Form::Digits]);
        needles.add_field_element(Secret::X25519Shared, &KEY);
        let low = u64::from_le_bytes(*KEY.first_chunk().expect("8 bytes")) & ((1 << 51) - 1);
        assert_eq!(forms(&needles, &low.to_le_bytes()), [Form::Limbs]);
        let poly = std::array::from_fn(|at| (at as u16 * 77 + 1000) % 3329);
        needles.add_coefficients(Secret::MlKemKey, &poly);
        let bytes: Vec<u8> =
            poly[100..104].iter().flat_map(|coefficient| coefficient.to_le_bytes()).collect();
        assert_eq!(forms(&needles, &bytes), [Form::Coefficients]);
    }
}
