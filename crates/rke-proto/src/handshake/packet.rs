//! The packets of handshake 3, before the records. `docs/protocol.md` section 7, "Packets".

use super::ids::{ForgetProof, ForgetToken, ID_LEN, KeyId};
use super::kem::{CIPHERTEXT_LEN, PUBLIC_KEY_LEN};
use super::noise::TAG_LEN;
use super::prologue::{ExchangePrologue, MAX_EXCHANGE_LEN, NAMED_LEN, Prologue};
use super::share_check::{ShareCheck, TAGS_LEN};
use crate::Bitmap;
use crate::cipher::HMAC_LEN;
use crate::cursor::{Cursor, DecodeError};

/// What every packet begins with. Its first byte tells handshake 3 from envelope type 6 on the same port.
pub const MAGIC: &[u8; 4] = b"RKE3";

/// Length of a packet's header: magic, kind, length of the content.
pub const HEADER_LEN: usize = 7;

/// Length of the field before a Noise message.
pub const MESSAGE_LEN_LEN: usize = 2;

/// Longest message 1.
pub const MAX_MESSAGE_1_LEN: usize = 2048;

/// Shortest message 1: e, and an empty payload with its tag.
const MIN_MESSAGE_1_LEN: usize = PUBLIC_KEY_LEN + TAG_LEN;

/// Shortest message 2: ekem, and an empty payload with its tag. What follows the two fields of its payload is ignored,
/// so it may have any other length.
const MIN_MESSAGE_2_LEN: usize = CIPHERTEXT_LEN + TAG_LEN;

/// What a client says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 1: opens a session with shares.
    Exchange,
    /// 2: opens a session with a resumption.
    Resume,
    /// 3: asks which shares are right.
    ShareCheck,
    /// 4: has a key or a resumption wiped.
    Forget,
    /// 5: attaches to a session.
    Attach,
}

impl Kind {
    fn from_wire(kind: u8) -> Result<Self, DecodeError> {
        Ok(match kind {
            1 => Self::Exchange,
            2 => Self::Resume,
            3 => Self::ShareCheck,
            4 => Self::Forget,
            5 => Self::Attach,
            _ => return Err(DecodeError::BadValue { what: "the packet's kind", value: kind.into() }),
        })
    }

    fn to_wire(self) -> u8 {
        match self {
            Self::Exchange => 1,
            Self::Resume => 2,
            Self::ShareCheck => 3,
            Self::Forget => 4,
            Self::Attach => 5,
        }
    }

    /// Whether a Noise message follows.
    pub fn has_message(self) -> bool {
        matches!(self, Self::Exchange | Self::Resume | Self::Attach)
    }

    fn takes(self, len: usize) -> bool {
        match self {
            Self::Exchange => len <= MAX_EXCHANGE_LEN,
            Self::Resume | Self::Attach => len == NAMED_LEN,
            Self::ShareCheck => len <= MAX_EXCHANGE_LEN + TAGS_LEN,
            Self::Forget => len == 2 * ID_LEN,
        }
    }
}

/// A packet: header and content.
pub(super) fn with_header(kind: Kind, content: &[u8]) -> Vec<u8> {
    framed(kind.to_wire(), content)
}

fn framed(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER_LEN + content.len());
    packet.extend(MAGIC);
    packet.push(kind);
    packet.extend((content.len() as u16).to_be_bytes());
    packet.extend(content);
    packet
}

/// The header of a client's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstHeader {
    /// What follows.
    pub kind: Kind,
    /// Length of the content; one that the kind can have.
    pub content_len: usize,
}

impl FirstHeader {
    /// Decodes the first seven bytes.
    ///
    /// # Errors
    /// [`DecodeError`]: close without an answer.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, DecodeError> {
        let (kind, content_len) = read_header(bytes)?;
        let kind = Kind::from_wire(kind)?;
        match kind.takes(content_len) {
            true => Ok(Self { kind, content_len }),
            false => Err(DecodeError::BadValue { what: "the content's length", value: content_len as u64 }),
        }
    }
}

fn read_header(bytes: &[u8; HEADER_LEN]) -> Result<(u8, usize), DecodeError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array("magic")? != *MAGIC {
        return Err(DecodeError::Mismatch("the packet's magic"));
    }
    Ok((cursor.u8("kind")?, cursor.u16("length")?.into()))
}

/// The length of message 1, from the field before it.
///
/// # Errors
/// [`DecodeError::BadValue`] for one that message 1 cannot have.
pub fn message_1_len(field: [u8; MESSAGE_LEN_LEN]) -> Result<usize, DecodeError> {
    let len = usize::from(u16::from_be_bytes(field));
    match (MIN_MESSAGE_1_LEN..=MAX_MESSAGE_1_LEN).contains(&len) {
        true => Ok(len),
        false => Err(DecodeError::BadValue { what: "the length of message 1", value: len as u64 }),
    }
}

/// What a client opens a connection with.
#[derive(Debug)]
pub enum FirstPacket<'a> {
    /// Kinds 1, 2 and 5: a Noise handshake.
    Handshake {
        /// What it is for.
        prologue: Prologue,
        /// The prologue as it came: what both ends hash.
        raw: &'a [u8],
        /// Message 1.
        message: &'a [u8],
    },
    /// Kind 3.
    ShareCheck(ShareCheck<'a>),
    /// Kind 4.
    Forget(Forget),
}

/// Kind 4: what is to be wiped, and the right to have it wiped. The id is a key's or a resumption's.
#[derive(Clone, Copy)]
pub struct Forget {
    /// 16 bytes of a key id or a resumption id.
    pub id: [u8; ID_LEN],
    /// The token.
    pub token: ForgetToken,
}

impl std::fmt::Debug for Forget {
    /// Not the token: with it anyone can end the session.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forget").field("id", &KeyId(self.id)).finish_non_exhaustive()
    }
}

impl Forget {
    /// The packet.
    pub fn to_bytes(&self) -> Vec<u8> {
        with_header(Kind::Forget, &[self.id, self.token.0].concat())
    }
}

impl<'a> FirstPacket<'a> {
    /// Decodes a whole first packet, the Noise message included.
    ///
    /// # Errors
    /// [`DecodeError`]: close without an answer.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let short = DecodeError::TooShort { what: "packet", needed: HEADER_LEN, left: bytes.len() };
        let header = FirstHeader::decode(bytes.first_chunk().ok_or(short)?)?;
        let mut cursor = Cursor::new(bytes);
        let raw = cursor.slice("packet", HEADER_LEN + header.content_len)?;
        let content = &raw[HEADER_LEN..];
        if header.kind.has_message() {
            let len = message_1_len(cursor.array("length of message 1")?)?;
            let message = cursor.slice("message 1", len)?;
            cursor.finish()?;
            return Ok(Self::Handshake { prologue: Prologue::decode(header.kind, content)?, raw, message });
        }
        cursor.finish()?;
        match header.kind {
            Kind::ShareCheck => ShareCheck::decode(raw, content).map(Self::ShareCheck),
            _ => decode_forget(content).map(Self::Forget),
        }
    }
}

fn decode_forget(content: &[u8]) -> Result<Forget, DecodeError> {
    let mut cursor = Cursor::new(content);
    let forget = Forget { id: cursor.array("key id")?, token: ForgetToken(cursor.array("forget token")?) };
    cursor.finish()?;
    Ok(forget)
}

/// Reads the content of kinds 1 and 3, which begin alike.
pub(super) fn read_exchange(cursor: &mut Cursor<'_>) -> Result<ExchangePrologue, DecodeError> {
    ExchangePrologue::read(cursor)
}

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
        /// The MAC.
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
/// [`DecodeError`]: what answered is not a Content Server of this version.
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
