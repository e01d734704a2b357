//! Request headers, and the two forms of response headers. `docs/protocol.md` sections 3 and 4.

use crate::cipher::{BLOCK_LEN, HMAC_LEN};
use crate::coin::{CoinId, CoinPair};
use crate::cursor::{Cursor, DecodeError};

/// The end of every body of a RAIDA datagram.
pub const TRAILER: [u8; 2] = [0x3E, 0x3E];

/// Length of the nonce field of types 4 and 5, and of the random seed that a header is made from.
pub const NONCE_LEN: usize = 24;

/// Length of the header of a response in envelopes 0 and 1.
pub const SHORT_HEADER_LEN: usize = 32;

/// Length of the header of a response in envelopes 4 and 5.
pub const LONG_HEADER_LEN: usize = 48;

/// Two bytes that match a response to its request.
pub type Echo = [u8; 2];

/// An envelope type and the coins that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// Not encrypted. Loopback test networks only.
    Type0,
    /// AES-128 under the AN, no HMAC. Used by the public network.
    Type1(CoinId),
    /// AES-256 and HMAC under a key from one coin's AN.
    Type4(CoinId),
    /// AES-256 and HMAC under a key from two coins' ANs.
    Type5(CoinId, CoinId),
}

impl Envelope {
    /// The type byte of the wire.
    pub fn wire_type(self) -> u8 {
        match self {
            Self::Type0 => 0,
            Self::Type1(_) => 1,
            Self::Type4(_) => 4,
            Self::Type5(..) => 5,
        }
    }

    /// Length of a request's header, and of a response's.
    pub fn header_len(self) -> usize {
        match self {
            Self::Type0 | Self::Type1(_) => SHORT_HEADER_LEN,
            Self::Type4(_) | Self::Type5(..) => LONG_HEADER_LEN,
        }
    }

    /// The coins that the envelope names, whose ANs make its key. `None` for type 0, which has no key.
    pub fn coin_pair(self) -> Option<CoinPair> {
        match self {
            Self::Type0 => None,
            Self::Type1(first) | Self::Type4(first) => Some(CoinPair { first, second: None }),
            Self::Type5(first, second) => Some(CoinPair { first, second: Some(second) }),
        }
    }

    /// The coins that the envelope names.
    pub fn coins(self) -> impl Iterator<Item = CoinId> {
        self.coin_pair().into_iter().flat_map(CoinPair::coins)
    }

    /// Length of the part after the ciphertext: the HMAC if any, and the trailer.
    pub(crate) fn tail_len(self) -> usize {
        match self {
            Self::Type0 | Self::Type1(_) => TRAILER.len(),
            Self::Type4(_) | Self::Type5(..) => HMAC_LEN + TRAILER.len(),
        }
    }
}

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// RAIDA index from the wire; a node compares it with its own.
    pub raida: u8,
    /// Command group from the wire.
    pub group: u8,
    /// Command from the wire.
    pub command: u8,
    /// The envelope, with the coins that authenticate the sender.
    pub envelope: Envelope,
    /// Everything after the header, the trailer included, in bytes.
    pub body_len: u16,
    /// 24 bytes of which each envelope uses the end: type 0 the last 2 (the echo), type 1 the last
    /// 8 (the nonce), types 4 and 5 all (type 5 with coin 2 in the first 5). The others are zero.
    nonce: [u8; NONCE_LEN],
}

/// Why a datagram has no request header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// Too short, or the constant bytes differ: not a RAIDA request at all.
    NotARequest,
    /// A request in an envelope that does not exist. It can be refused, in the form of type 0.
    UnknownEnvelope {
        /// RAIDA index from the wire.
        raida: u8,
        /// Command group from the wire.
        group: u8,
        /// The last two bytes of a 32-byte header.
        echo: Echo,
    },
}

impl From<DecodeError> for HeaderError {
    fn from(_: DecodeError) -> Self {
        Self::NotARequest
    }
}

impl RequestHeader {
    /// A header made from 24 random bytes, never used before under the same key.
    pub fn new(
        raida: u8,
        (group, command): (u8, u8),
        envelope: Envelope,
        body_len: u16,
        mut random: [u8; NONCE_LEN],
    ) -> Self {
        match envelope {
            Envelope::Type0 => random[..22].fill(0),
            Envelope::Type1(_) => random[..16].fill(0),
            Envelope::Type4(_) => (),
            Envelope::Type5(_, second) => random[..5].copy_from_slice(&second.to_bytes()),
        }
        Self { raida, group, command, envelope, body_len, nonce: random }
    }

    /// Writes the header to the start of `out`, which is at least that long.
    pub fn write(&self, out: &mut [u8]) {
        let header = &mut out[..self.envelope.header_len()];
        header.fill(0);
        header[0] = 1;
        header[2] = self.raida;
        header[4] = self.group;
        header[5] = self.command;
        header[7] = 6;
        header[14..16].copy_from_slice(&[1, 1]);
        header[16] = self.envelope.wire_type();
        let body_len = self.body_len.to_be_bytes();
        match self.envelope {
            Envelope::Type0 => {
                header[22..24].copy_from_slice(&body_len);
                header[30..32].copy_from_slice(&self.echo());
            }
            Envelope::Type1(coin) => {
                header[17..22].copy_from_slice(&coin.to_bytes());
                header[22..24].copy_from_slice(&body_len);
                header[24..32].copy_from_slice(&self.nonce[16..]);
            }
            Envelope::Type4(coin) | Envelope::Type5(coin, _) => {
                header[17..19].copy_from_slice(&body_len);
                header[19..24].copy_from_slice(&coin.to_bytes());
                header[24..48].copy_from_slice(&self.nonce);
            }
        }
    }

    /// Decodes the header at the start of a datagram.
    ///
    /// # Errors
    /// [`HeaderError`]: whether the datagram deserves a response at all.
    pub fn decode(datagram: &[u8]) -> Result<Self, HeaderError> {
        let mut cursor = Cursor::new(datagram);
        let [one, zero, raida, shard, group, command, kind @ ..] = cursor.array::<16>("header")?;
        if [one, zero, shard] != [1, 0, 0] || kind != [0, 6, 0, 0, 0, 0, 0, 0, 1, 1] {
            return Err(HeaderError::NotARequest);
        }
        let mut nonce = [0; NONCE_LEN];
        let (envelope, body_len) = match cursor.u8("envelope type")? {
            0 => {
                cursor.slice("zeros", 5)?;
                let body_len = cursor.u16("body length")?;
                cursor.slice("zeros", 6)?;
                nonce[22..].copy_from_slice(&cursor.array::<2>("echo")?);
                (Envelope::Type0, body_len)
            }
            1 => {
                let coin = CoinId::from_bytes(cursor.array("coin")?);
                let body_len = cursor.u16("body length")?;
                nonce[16..].copy_from_slice(&cursor.array::<8>("nonce")?);
                (Envelope::Type1(coin), body_len)
            }
            wire_type @ (4 | 5) => {
                let body_len = cursor.u16("body length")?;
                let coin = CoinId::from_bytes(cursor.array("coin")?);
                nonce = cursor.array("nonce")?;
                let [a, b, c, d, e, ..] = nonce;
                let second = CoinId::from_bytes([a, b, c, d, e]);
                let envelope = match wire_type {
                    4 => Envelope::Type4(coin),
                    _ => Envelope::Type5(coin, second),
                };
                (envelope, body_len)
            }
            _ => {
                cursor.slice("rest of the header", 13)?;
                return Err(HeaderError::UnknownEnvelope { raida, group, echo: cursor.array("echo")? });
            }
        };
        Ok(Self { raida, group, command, envelope, body_len, nonce })
    }

    /// The echo that the response must carry.
    pub fn echo(&self) -> Echo {
        [self.nonce[22], self.nonce[23]]
    }

    /// CTR's first counter block for the body.
    pub fn counter_block(&self) -> [u8; BLOCK_LEN] {
        let mut block = [0; BLOCK_LEN];
        match self.envelope {
            Envelope::Type0 | Envelope::Type1(_) => block[..8].copy_from_slice(&self.nonce[16..]),
            Envelope::Type4(_) | Envelope::Type5(..) => block.copy_from_slice(&self.nonce[..16]),
        }
        block
    }
}

/// The fields that both forms of a response header share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// Index of the RAIDA that responds.
    pub raida: u8,
    /// Status byte.
    pub status: u8,
    /// Command group of the request.
    pub group: u8,
    /// Time that the response took, in microseconds. Informative.
    pub execution_micros: u32,
    /// Everything after the header, the trailer included, in bytes; 24 bits on the wire.
    pub body_len: u32,
    /// The request's echo.
    pub echo: Echo,
    /// What the form of the header adds.
    pub form: ResponseForm,
}

/// What the two forms of a response header add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseForm {
    /// Envelopes 0 and 1, 32 bytes.
    Short {
        /// The challenge (type 0), or the challenge XOR the AN (type 1); zero if neither is known.
        signature: [u8; 16],
    },
    /// Envelopes 4 and 5, 48 bytes.
    Long {
        /// 4 or 5.
        wire_type: u8,
        /// Coin 1 of the request.
        coin: CoinId,
        /// The server's nonce, its last two bytes the echo.
        nonce: [u8; NONCE_LEN],
    },
}

impl ResponseForm {
    /// Length of the header in this form.
    pub fn header_len(&self) -> usize {
        match self {
            Self::Short { .. } => SHORT_HEADER_LEN,
            Self::Long { .. } => LONG_HEADER_LEN,
        }
    }
}

impl ResponseHeader {
    /// Writes the header to the start of `out`, which is at least that long.
    pub fn write(&self, out: &mut [u8]) {
        let header = &mut out[..self.form.header_len()];
        header.fill(0);
        header[0] = self.raida;
        header[2] = self.status;
        header[3] = self.group;
        header[9..12].copy_from_slice(&self.body_len.to_be_bytes()[1..]);
        match &self.form {
            ResponseForm::Short { signature } => {
                header[5] = 1;
                header[6..8].copy_from_slice(&self.echo);
                header[12..16].copy_from_slice(&self.execution_micros.to_be_bytes());
                header[16..32].copy_from_slice(signature);
            }
            ResponseForm::Long { wire_type, coin, nonce } => {
                header[4..8].copy_from_slice(&self.execution_micros.to_be_bytes());
                header[16] = *wire_type;
                header[17..22].copy_from_slice(&coin.to_bytes());
                header[24..48].copy_from_slice(nonce);
                header[46..48].copy_from_slice(&self.echo);
            }
        }
    }

    /// Decodes the header of a response to a request in `envelope`.
    ///
    /// # Errors
    /// [`DecodeError`]: cut short, or a constant part differs.
    pub fn decode(envelope: Envelope, datagram: &[u8]) -> Result<Self, DecodeError> {
        match envelope {
            Envelope::Type0 | Envelope::Type1(_) => Self::decode_short(datagram),
            Envelope::Type4(_) | Envelope::Type5(..) => Self::decode_long(datagram),
        }
    }

    fn decode_short(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(datagram);
        let [raida, _, status, group] = cursor.array("header")?;
        if cursor.u16("frame count")? != 1 {
            return Err(DecodeError::Mismatch("the frame count"));
        }
        let echo = cursor.array("echo")?;
        let body_len = cursor.u32("body length")? & 0x00FF_FFFF;
        let execution_micros = cursor.u32("execution time")?;
        let form = ResponseForm::Short { signature: cursor.array("signature")? };
        Ok(Self { raida, status, group, execution_micros, body_len, echo, form })
    }

    fn decode_long(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(datagram);
        let [raida, _, status, group] = cursor.array("header")?;
        let execution_micros = cursor.u32("execution time")?;
        let body_len = cursor.u32("body length")? & 0x00FF_FFFF;
        cursor.slice("zeros", 4)?;
        let wire_type = cursor.u8("envelope type")?;
        let coin = CoinId::from_bytes(cursor.array("coin")?);
        cursor.slice("zeros", 2)?;
        let nonce = cursor.array::<NONCE_LEN>("nonce")?;
        let echo = [nonce[22], nonce[23]];
        let form = ResponseForm::Long { wire_type, coin, nonce };
        Ok(Self { raida, status, group, execution_micros, body_len, echo, form })
    }
}

#[cfg(test)]
mod tests;
