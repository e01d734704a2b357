//! The packets of handshake 3, before the records. `docs/protocol.md` section 7, "Packets".

pub use super::header::{HEADER_LEN, Kind, MAGIC};
use super::header::{read_header, with_header};
use super::ids::{ForgetToken, ID_LEN, KeyId};
use super::kem::PUBLIC_KEY_LEN;
use super::noise::TAG_LEN;
use super::prologue::{MAX_EXCHANGE_LEN, NAMED_LEN, Prologue};
pub use super::response::{Reason, Response, response_header};
use super::share_check::{ShareCheck, TAGS_LEN};
use crate::cursor::{Cursor, DecodeError};

/// Length of the field before a Noise message.
pub const MESSAGE_LEN_LEN: usize = 2;

/// Longest message 1.
pub const MAX_MESSAGE_1_LEN: usize = 2048;

/// Shortest message 1: e, and an empty payload with its tag.
const MIN_MESSAGE_1_LEN: usize = PUBLIC_KEY_LEN + TAG_LEN;

/// The header of a client's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstHeader {
    /// What follows.
    pub kind: Kind,
    /// Length of the content, valid for the kind.
    pub content_len: usize,
}

impl FirstHeader {
    /// Decodes the first seven bytes.
    ///
    /// # Errors
    /// [`DecodeError`]: close without a response.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, DecodeError> {
        let (kind, content_len) = read_header(bytes)?;
        let kind = Kind::from_wire(kind)?;
        match takes(kind, content_len) {
            true => Ok(Self { kind, content_len }),
            false => Err(DecodeError::BadValue { what: "the content's length", value: content_len as u64 }),
        }
    }
}

/// Whether the content of this kind can have this length.
fn takes(kind: Kind, len: usize) -> bool {
    match kind {
        Kind::Exchange => len <= MAX_EXCHANGE_LEN,
        Kind::Resume | Kind::Attach => len == NAMED_LEN,
        Kind::ShareCheck => len <= MAX_EXCHANGE_LEN + TAGS_LEN,
        Kind::Forget => len == 2 * ID_LEN,
    }
}

/// The length of message 1, from the field before it.
///
/// # Errors
/// [`DecodeError::BadValue`] for a length that message 1 cannot have.
pub fn message_1_len(field: [u8; MESSAGE_LEN_LEN]) -> Result<usize, DecodeError> {
    let len = usize::from(u16::from_be_bytes(field));
    match (MIN_MESSAGE_1_LEN..=MAX_MESSAGE_1_LEN).contains(&len) {
        true => Ok(len),
        false => Err(DecodeError::BadValue { what: "the length of message 1", value: len as u64 }),
    }
}

/// The first packet of a connection.
#[derive(Debug)]
pub enum FirstPacket<'a> {
    /// Kinds 1, 2 and 5: a Noise handshake.
    Handshake {
        /// Its purpose.
        prologue: Prologue,
        /// The prologue as received: both ends hash it.
        raw: &'a [u8],
        /// Message 1.
        message: &'a [u8],
    },
    /// Kind 3.
    ShareCheck(ShareCheck<'a>),
    /// Kind 4.
    Forget(Forget),
}

/// Kind 4: the secret to wipe, and the permission to wipe it. The id is a key's or a resumption's.
#[derive(Clone, Copy)]
pub struct Forget {
    /// 16 bytes of a key id or a resumption id.
    pub id: [u8; ID_LEN],
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
    /// [`DecodeError`]: close without a response.
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
