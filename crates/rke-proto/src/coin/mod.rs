//! Coins and their files. `docs/protocol.md` section 2.
//! The ANs are never parsed here: [`FileHeader::an_position`] says where each one lies, so that it can be read from
//! the file straight into a [`rke_secret::Secret`].

use std::fmt;

use crate::cursor::{Cursor, DecodeError};
use crate::{Bitmap, RAIDA_COUNT, RaidaIndex};

/// Length of an Authenticity Number.
pub const AN_LEN: usize = 16;

/// Length of a coin file's header.
pub const FILE_HEADER_LEN: usize = 32;

/// Length of the fields before a coin's ANs: split, shard, denomination, serial number.
pub const COIN_HEADER_LEN: usize = 7;

const FORMAT: u8 = 9;
const COIN_KIND: u16 = 0x0006;
const MOTTO: &[u8; 16] = b"Live Free or Die";

/// A coin's public name: denomination and serial number, `id5` of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoinId {
    /// Power of ten of the coin's value.
    pub denomination: i8,
    /// Serial number, unique within the denomination.
    pub serial: u32,
}

impl CoinId {
    /// The five bytes of the wire.
    pub fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.serial.to_be_bytes();
        [self.denomination as u8, a, b, c, d]
    }

    /// The coin that five bytes of the wire identify.
    pub fn from_bytes([denomination, a, b, c, d]: [u8; 5]) -> Self {
        Self { denomination: denomination as i8, serial: u32::from_be_bytes([a, b, c, d]) }
    }
}

impl fmt::Display for CoinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.denomination, self.serial)
    }
}

impl std::str::FromStr for CoinId {
    type Err = &'static str;

    /// `DENOMINATION:SERIAL`, such as `0:42` or `-3:7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a coin is written DENOMINATION:SERIAL, such as 0:42";
        let (denomination, serial) = text.split_once(':').ok_or(wrong)?;
        Ok(Self {
            denomination: denomination.parse().map_err(|_| wrong)?,
            serial: serial.parse().map_err(|_| wrong)?,
        })
    }
}

/// Length of a coin pair on the wire.
pub const COIN_PAIR_LEN: usize = 10;

/// The one or two coins whose ANs authenticated a request. A wide share is bound to them. `docs/protocol.md` section
/// 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoinPair {
    /// Coin 1 of the envelope.
    pub first: CoinId,
    /// Coin 2, if the envelope has one.
    pub second: Option<CoinId>,
}

/// RAIDAs whose shares are used, with the coins that authenticated the requests to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The RAIDAs; at least one.
    pub raidas: Bitmap,
    pub coins: CoinPair,
}

impl CoinPair {
    /// The ten bytes of the wire: two `id5`, the second one zeros without a second coin.
    pub fn to_bytes(self) -> [u8; COIN_PAIR_LEN] {
        let mut bytes = [0; COIN_PAIR_LEN];
        bytes[..5].copy_from_slice(&self.first.to_bytes());
        if let Some(second) = self.second {
            bytes[5..].copy_from_slice(&second.to_bytes());
        }
        bytes
    }

    /// The pair that ten bytes of the wire identify.
    pub fn from_bytes(bytes: [u8; COIN_PAIR_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = bytes;
        let second = [f, g, h, i, j];
        let second = (second != [0; 5]).then(|| CoinId::from_bytes(second));
        Self { first: CoinId::from_bytes([a, b, c, d, e]), second }
    }

    /// The coins of the pair.
    pub fn coins(self) -> impl Iterator<Item = CoinId> {
        std::iter::once(self.first).chain(self.second)
    }

    /// Whether the pair contains a coin.
    pub fn contains(self, coin: CoinId) -> bool {
        self.coins().any(|own| own == coin)
    }
}

/// Why a coin file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoinFileError {
    /// The header or a coin is cut short or malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The file is encrypted with a password.
    #[error("it is encrypted with a password (type {0}); decrypt the wallet first")]
    Encrypted(u8),
    /// The header does not say that this is a coin file.
    #[error("it is not a coin file: {0}")]
    NotACoinFile(&'static str),
    /// The length does not fit the number of coins.
    #[error("its header announces {coins} coins, {expected} bytes, but it has {actual} bytes")]
    WrongLength {
        /// Coins that the header announces.
        coins: u16,
        /// Length that they need.
        expected: u64,
        /// Length of the file.
        actual: u64,
    },
}

/// What a coin's holder knows about it at one RAIDA, from the file's status nibbles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoinStatus {
    /// `p`: the RAIDA has confirmed the AN.
    Passed,
    /// `f`: the AN is not that of the RAIDA.
    Failed,
    /// Anything else: unknown, no response, or in doubt.
    Unusable,
}

const PASSED_NIBBLE: u8 = 0xA;
const FAILED_NIBBLE: u8 = 0xF;

/// The header of a coin file: the number of its coins, and the positions of their ANs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    coins: u16,
    proposed_ans: bool,
    statuses: [CoinStatus; RAIDA_COUNT],
}

impl FileHeader {
    /// A header for a new file: one coin with its statuses, or several coins.
    pub fn new(coins: u16, statuses: [CoinStatus; RAIDA_COUNT]) -> Self {
        Self { coins, proposed_ans: false, statuses }
    }

    /// Decodes the first 32 bytes of a file.
    ///
    /// # Errors
    /// [`CoinFileError`]: what the file is instead.
    pub fn decode(bytes: &[u8; FILE_HEADER_LEN]) -> Result<Self, CoinFileError> {
        let mut cursor = Cursor::new(bytes);
        let [format, _] = cursor.array("format")?;
        let kind = cursor.u16("coin kind")?;
        let [_, encryption] = cursor.array("encryption")?;
        let coins = cursor.u16("coin count")?;
        cursor.slice("password hash", 7)?;
        let contents = cursor.u8("contents")?;
        let tail = cursor.array::<16>("statuses")?;
        if format != FORMAT {
            return Err(CoinFileError::NotACoinFile("its first byte is not 9"));
        }
        if kind != COIN_KIND {
            return Err(CoinFileError::NotACoinFile("its coin id is not 6"));
        }
        if encryption != 0 {
            return Err(CoinFileError::Encrypted(encryption));
        }
        if coins == 0 {
            return Err(CoinFileError::NotACoinFile("it holds no coin"));
        }
        if contents > 1 {
            return Err(CoinFileError::NotACoinFile("its byte 15 is neither 0 nor 1"));
        }
        let statuses = match coins {
            1 => std::array::from_fn(|raida| status_at(&tail, raida)),
            _ => [CoinStatus::Passed; RAIDA_COUNT],
        };
        Ok(Self { coins, proposed_ans: contents == 1, statuses })
    }

    /// The 32 bytes of the file.
    pub fn encode(&self) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = [0; FILE_HEADER_LEN];
        bytes[0] = FORMAT;
        bytes[2..4].copy_from_slice(&COIN_KIND.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.coins.to_be_bytes());
        bytes[15] = u8::from(self.proposed_ans);
        if self.coins > 1 {
            bytes[16..].copy_from_slice(MOTTO);
            return bytes;
        }
        for (raida, status) in self.statuses.iter().enumerate() {
            let nibble = match status {
                CoinStatus::Passed => PASSED_NIBBLE,
                CoinStatus::Failed => FAILED_NIBBLE,
                CoinStatus::Unusable => 0,
            };
            bytes[16 + raida / 2] |= nibble << if raida % 2 == 0 { 4 } else { 0 };
        }
        bytes
    }

    /// Whether 25 proposed ANs follow the ANs of each coin.
    pub fn has_proposed_ans(&self) -> bool {
        self.proposed_ans
    }

    /// The number of coins in the file.
    pub fn coins(&self) -> u16 {
        self.coins
    }

    /// Checks that the file has the coins that it announces. Extra bytes are ignored: older clients pad their files.
    ///
    /// # Errors
    /// [`CoinFileError::WrongLength`].
    pub fn check_len(&self, actual: u64) -> Result<(), CoinFileError> {
        let expected = self.coin_position(self.coins);
        if actual >= expected {
            return Ok(());
        }
        Err(CoinFileError::WrongLength { coins: self.coins, expected, actual })
    }

    /// What the holder knows about the file's coins at a RAIDA.
    pub fn status(&self, raida: RaidaIndex) -> CoinStatus {
        self.statuses[raida.position()]
    }

    /// The position of the header of coin `coin` (from 0), in bytes from the start of the file.
    pub fn coin_position(&self, coin: u16) -> u64 {
        let an_sets = if self.proposed_ans { 2 } else { 1 };
        let coin_len = COIN_HEADER_LEN + an_sets * RAIDA_COUNT * AN_LEN;
        FILE_HEADER_LEN as u64 + u64::from(coin) * coin_len as u64
    }

    /// The position of the 16-byte AN of coin `coin` (from 0) at a RAIDA.
    pub fn an_position(&self, coin: u16, raida: RaidaIndex) -> u64 {
        self.coin_position(coin) + (COIN_HEADER_LEN + raida.position() * AN_LEN) as u64
    }
}

fn status_at(nibbles: &[u8; 16], raida: usize) -> CoinStatus {
    let byte = nibbles[raida / 2];
    let nibble = if raida.is_multiple_of(2) { byte >> 4 } else { byte & 0xF };
    match nibble {
        PASSED_NIBBLE => CoinStatus::Passed,
        FAILED_NIBBLE => CoinStatus::Failed,
        _ => CoinStatus::Unusable,
    }
}

/// Reads the fields before a coin's ANs.
pub fn decode_coin_header(bytes: [u8; COIN_HEADER_LEN]) -> CoinId {
    let [_split, _shard, id @ ..] = bytes;
    CoinId::from_bytes(id)
}

/// Writes the fields before a coin's ANs.
pub fn encode_coin_header(id: CoinId) -> [u8; COIN_HEADER_LEN] {
    let mut bytes = [0; COIN_HEADER_LEN];
    bytes[2..].copy_from_slice(&id.to_bytes());
    bytes
}

#[cfg(test)]
mod tests;
