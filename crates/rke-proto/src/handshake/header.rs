//! The header of a packet of handshake 3, at both ends. `docs/protocol.md` section 7, "Packets".

use crate::cursor::{Cursor, DecodeError};

/// What every packet begins with. Its first byte tells handshake 3 from envelope type 6 on the same port.
pub const MAGIC: &[u8; 4] = b"RKE3";

/// Length of a packet's header: magic, kind, length of the content.
pub const HEADER_LEN: usize = 7;

/// The first packet of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 1: opens a session with shares.
    Exchange,
    /// 2: opens a session with a resumption.
    Resume,
    /// 3: asks which shares are right.
    ShareCheck,
    /// 4: makes the server wipe a key or a resumption.
    Forget,
    /// 5: attaches to a session.
    Attach,
}

impl Kind {
    pub(super) fn from_wire(kind: u8) -> Result<Self, DecodeError> {
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
}

/// A packet: header and content.
pub(super) fn with_header(kind: Kind, content: &[u8]) -> Vec<u8> {
    framed(kind.to_wire(), content)
}

/// The same, of a kind that is a number.
pub(super) fn framed(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER_LEN + content.len());
    packet.extend(MAGIC);
    packet.push(kind);
    packet.extend((content.len() as u16).to_be_bytes());
    packet.extend(content);
    packet
}

/// The kind and the length of the content.
pub(super) fn read_header(bytes: &[u8; HEADER_LEN]) -> Result<(u8, usize), DecodeError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array("magic")? != *MAGIC {
        return Err(DecodeError::Mismatch("the packet's magic"));
    }
    Ok((cursor.u8("kind")?, cursor.u16("length")?.into()))
}
