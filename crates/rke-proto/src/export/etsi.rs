//! The keys of ETSI GS QKD 014 V1.1.1: their ids, and how both ends derive them without a message.
//! `docs/protocol.md` section 7.11.

use std::fmt;
use std::str::FromStr;

use super::{KEY_LENS, MAX_KEY_LEN};
use crate::derive::{SECRET_LEN, expand};
use crate::handshake::KeyId;

/// How many random bytes a key's id takes.
pub const ID_RANDOM_LEN: usize = 7;

const LABEL: &[u8] = b"RKE-ETSI-014-v3.0";

/// The first two bits of byte 8 of a UUID, for the variant of RFC 9562.
const VARIANT: u8 = 0b1000_0000;
const VARIANT_MASK: u8 = 0b1100_0000;

/// The high half of byte 6 of a UUID of version 8.
const VERSION: u8 = 0x80;
const VERSION_MASK: u8 = 0xF0;

/// Where hyphens stand in the text of a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const TEXT_LEN: usize = 36;

/// The size of a key: 128 to 512 bits, in steps of 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySize(u8);

impl KeySize {
    /// The size that a request without one gets: 256 bits.
    pub const DEFAULT: Self = Self(32);
    /// The smallest.
    pub const MIN: Self = Self(*KEY_LENS.start() as u8);
    /// The largest.
    pub const MAX: Self = Self(*KEY_LENS.end() as u8);

    /// The size of this many bits. `None` if no key has it.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let bytes = usize::try_from(bits / 8).ok()?;
        (bits.is_multiple_of(8) && KEY_LENS.contains(&bytes)).then_some(Self(bytes as u8))
    }

    /// In bits.
    pub fn bits(self) -> u32 {
        u32::from(self.0) * 8
    }

    /// In bytes.
    pub fn bytes(self) -> usize {
        self.0.into()
    }
}

/// The id of a secure application entity (SAE): 1 to 255 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaeId(String);

impl SaeId {
    /// The id with this text. `None` if no SAE can have it.
    pub fn new(text: &str) -> Option<Self> {
        let is_one = (1..=usize::from(u8::MAX)).contains(&text.len()) && !text.chars().any(char::is_control);
        is_one.then(|| Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn len(&self) -> u8 {
        // Checked by `new`.
        self.0.len() as u8
    }
}

impl fmt::Display for SaeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a key, a UUID of version 8. It says how long the key is, and which session it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtsiKeyId([u8; 16]);

impl EtsiKeyId {
    /// An id with these random bytes.
    pub fn new(session: &KeyId, size: KeySize, random: [u8; ID_RANDOM_LEN]) -> Self {
        let mut id = [0; 16];
        id[0] = size.0;
        id[1..8].copy_from_slice(&random);
        id[6] = VERSION | (id[6] & !VERSION_MASK);
        id[8..].copy_from_slice(&session_part(session));
        Self(id)
    }

    /// How long the key is.
    pub fn size(&self) -> KeySize {
        KeySize(self.0[0])
    }

    /// Whether the key is from the session with this id.
    pub fn is_of(&self, session: &KeyId) -> bool {
        self.0[8..] == session_part(session)
    }
}

/// The first bytes of a session's key id, with the variant of a UUID in place of the first two bits.
fn session_part(KeyId(id): &KeyId) -> [u8; 8] {
    let mut part = [0; 8];
    part.copy_from_slice(&id[..8]);
    part[0] = VARIANT | (part[0] & !VARIANT_MASK);
    part
}

/// The text is not the id of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key has this id")]
pub struct NoKeyId;

impl FromStr for EtsiKeyId {
    type Err = NoKeyId;

    /// Reads the text of a UUID, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, NoKeyId> {
        let text = text.as_bytes();
        if text.len() != TEXT_LEN || HYPHENS.iter().any(|at| text[*at] != b'-') {
            return Err(NoKeyId);
        }
        let digit = |(_, byte): (usize, &u8)| char::from(*byte).to_digit(16);
        let digits = text.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at)).map(digit);
        let mut id = [0_u8; 16];
        for (at, digit) in digits.enumerate() {
            let digit = digit.ok_or(NoKeyId)? as u8;
            id[at / 2] = (id[at / 2] << 4) | digit;
        }
        let is_one = KEY_LENS.contains(&id[0].into())
            && id[6] & VERSION_MASK == VERSION
            && id[8] & VARIANT_MASK == VARIANT;
        is_one.then_some(Self(id)).ok_or(NoKeyId)
    }
}

impl fmt::Display for EtsiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A key, by its id and by the SAEs that share it: the master requested it, the slave gets it by its id.
#[derive(Debug, Clone, Copy)]
pub struct EtsiKey<'a> {
    /// Its id.
    pub id: EtsiKeyId,
    /// Who requested it.
    pub master: &'a SaeId,
    /// Who gets it by its id.
    pub slave: &'a SaeId,
}

impl EtsiKey<'_> {
    /// Derives the key and hands it to `use_key`, as [`super::Export::derive`] does.
    pub fn derive<R>(&self, export_key: &[u8; SECRET_LEN], use_key: impl FnOnce(&[u8]) -> R) -> R {
        let Self { id, master, slave } = self;
        let size = id.size();
        let info = [
            LABEL,
            &id.0,
            &[master.len()],
            master.0.as_bytes(),
            &[slave.len()],
            slave.0.as_bytes(),
            &size.bits().to_be_bytes(),
        ];
        let mut key = [0; MAX_KEY_LEN];
        expand(export_key, &info, &mut key[..size.bytes()]);
        use_key(&key[..size.bytes()])
    }
}
