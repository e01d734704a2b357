//! What a Content Server responds to the first packet of a connection. `docs/protocol.md` section 7, "Packets".

use super::header::{HEADER_LEN, framed, read_header};
use super::ids::{ForgetProof, ID_LEN};
use super::kem::CIPHERTEXT_LEN;
use super::noise::TAG_LEN;
use crate::Bitmap;
use crate::cipher::HMAC_LEN;
use crate::cursor::{Cursor, DecodeError};

/// Shortest message 2: ekem, and an empty payload with its tag. Anything after the two fields of its payload is ignored,
/// so it may have any other length.
const MIN_MESSAGE_2_LEN: usize = CIPHERTEXT_LEN + TAG_LEN;

/// Why a Content Server refuses. Not authenticated: anyone on the path can send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// 1: the timestamp is too far from the server's clock.
    #[error("the time of the exchange is too far from its clock")]
    Stale,
    /// 2: it does not serve that key set.
    #[error("it does not have that key set")]
    NoSuchKeySet,
    /// 3: it does not know that resumption or key, or not with that psk.
    #[error("it does not know that key")]
    NoSuchKey,
    /// 4: the psk is not the one that its shares make.
    #[error("the shares are not those that it has")]
    WrongShares,
    /// 5: it has had this first packet before.
    #[error("it has had this request before")]
    Replayed,
    /// 6: its memory or its room is full.
    #[error("it is busy")]
    Busy,
    /// 7: it does not serve that domain.
    #[error("it does not serve that domain")]
    AnotherDomain,
    /// 8: the operator has taken the key set out of use.
    #[error("that key set has been retired")]
    Retired,
}

impl Reason {
    const ALL: [(u8, Self); 8] = [
        (1, Self::Stale),
        (2, Self::NoSuchKeySet),
        (3, Self::NoSuchKey),
        (4, Self::WrongShares),
        (5, Self::Replayed),
        (6, Self::Busy),
        (7, Self::AnotherDomain),
        (8, Self::Retired),
    ];

    /// The number on the wire.
    pub fn to_wire(self) -> u8 {
        Self::ALL.iter().find(|(_, reason)| *reason == self).map_or(0, |(number, _)| *number)
    }

    fn from_wire(number: u8) -> Result<Self, DecodeError> {
        let known = Self::ALL.iter().find(|(own, _)| *own == number).map(|(_, reason)| *reason);
        known.ok_or(DecodeError::BadValue { what: "the reason", value: number.into() })
    }
}

/// What a Content Server answers a first packet with.
pub enum Response {
    /// 0x81: message 2 of the Noise handshake.
    Accepted(Vec<u8>),
    /// 0x82. The server closes behind it.
    Refused(Reason),
    /// 0x83: the RAIDAs whose tags match, and a MAC where they are enough, else zeros. The server closes behind it.
    Checked {
        /// The RAIDAs.
        right: Bitmap,
        mac: [u8; HMAC_LEN],
    },
    /// 0x84. The server closes behind it.
    Forgotten {
        /// 16 bytes of the key id or the resumption id.
        id: [u8; ID_LEN],
        /// Shows that it is wiped.
        proof: ForgetProof,
    },
}

const ACCEPTED: u8 = 0x81;
const REFUSED: u8 = 0x82;
const CHECKED: u8 = 0x83;
const FORGOTTEN: u8 = 0x84;

/// The kind and the length of the content of a response, from its first seven bytes.
///
/// # Errors
/// [`DecodeError`]: the other end is not a Content Server of this version.
pub fn response_header(bytes: &[u8; HEADER_LEN]) -> Result<(u8, usize), DecodeError> {
    let (kind, len) = read_header(bytes)?;
    let is_possible = match kind {
        ACCEPTED => len >= MIN_MESSAGE_2_LEN,
        REFUSED => len == 1,
        CHECKED => len == 4 + HMAC_LEN,
        FORGOTTEN => len == 2 * ID_LEN,
        _ => return Err(DecodeError::BadValue { what: "the response's kind", value: kind.into() }),
    };
    match is_possible {
        true => Ok((kind, len)),
        false => Err(DecodeError::BadValue { what: "the response's length", value: len as u64 }),
    }
}

impl Response {
    /// The packet.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Accepted(message) => framed(ACCEPTED, message),
            Self::Refused(reason) => framed(REFUSED, &[reason.to_wire()]),
            Self::Checked { right, mac } => framed(CHECKED, &[&right.to_bytes(), mac.as_slice()].concat()),
            Self::Forgotten { id, proof } => framed(FORGOTTEN, &[*id, proof.0].concat()),
        }
    }

    /// Decodes a response.
    ///
    /// # Errors
    /// [`DecodeError`]: cut, too long, or of an unknown form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let short = DecodeError::TooShort { what: "response", needed: HEADER_LEN, left: bytes.len() };
        let (kind, len) = response_header(bytes.first_chunk().ok_or(short)?)?;
        let mut cursor = Cursor::new(&bytes[HEADER_LEN..]);
        let response = match kind {
            ACCEPTED => Self::Accepted(cursor.slice("message 2", len)?.to_vec()),
            REFUSED => Self::Refused(Reason::from_wire(cursor.u8("reason")?)?),
            CHECKED => {
                let right = Bitmap::decode(cursor.array("bitmap")?)?;
                Self::Checked { right, mac: cursor.array("MAC")? }
            }
            _ => Self::Forgotten { id: cursor.array("key id")?, proof: ForgetProof(cursor.array("proof")?) },
        };
        cursor.finish()?;
        Ok(response)
    }
}
