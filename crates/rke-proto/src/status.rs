//! The status codes of a RAIDA's response. `docs/protocol.md` section 4.

use std::fmt;

/// The status byte of a response. Unknown codes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

impl Status {
    /// 3: the request names another RAIDA.
    pub const WRONG_RAIDA: Self = Self(3);
    /// 6: no such command group or command.
    pub const UNKNOWN_COMMAND: Self = Self(6);
    /// 16: the body has the wrong length.
    pub const BAD_LENGTH: Self = Self(16);
    /// 25: this RAIDA does not know the coin.
    pub const COIN_NOT_FOUND: Self = Self(25);
    /// 27: the command may not travel in this envelope.
    pub const ENVELOPE_NOT_ALLOWED: Self = Self(27);
    /// 33: the datagram does not end in the trailer.
    pub const BAD_TRAILER: Self = Self(33);
    /// 34: no such envelope type.
    pub const BAD_ENCRYPTION: Self = Self(34);
    /// 37: the challenge's CRC does not match, as with a wrong AN in envelope 1.
    pub const BAD_CHALLENGE: Self = Self(37);
    /// 198: stale timestamp, reused challenge, or an invalid value.
    pub const BAD_PARAMETER: Self = Self(198);
    /// 204: the HMAC does not match.
    pub const BAD_HMAC: Self = Self(204);
    /// 212: no master secret for this Content Server ID and key set.
    pub const NO_SUCH_KEY_SET: Self = Self(212);
    /// 213: another coin owns this Content Server ID at this node. An extension of this project.
    pub const OWNED_BY_ANOTHER: Self = Self(213);
    /// 241: the Content Server's variant of [`Status::SUCCESS`] if all of the client's tickets are good. Section 8.
    pub const TICKETS_GOOD: Self = Self(241);
    /// 242: the Content Server accepts none of the client's tickets. Section 8.
    pub const NO_TICKET_GOOD: Self = Self(242);
    /// 243: the Content Server rejects some of the client's tickets. Section 8.
    pub const SOME_TICKETS_BAD: Self = Self(243);
    /// 250: done.
    pub const SUCCESS: Self = Self(250);
    /// 251: the Content Server does not know this key, or it is too old.
    pub const UNKNOWN_KEY: Self = Self(251);
    /// 252: an error of the RAIDA, or its memory for requests is full.
    pub const INTERNAL: Self = Self(252);

    /// Whether it blames the coin rather than the RAIDA.
    pub fn refuses_coin(self) -> bool {
        matches!(self, Self::COIN_NOT_FOUND | Self::BAD_CHALLENGE | Self::BAD_HMAC)
    }

    /// Whether it blames the envelope rather than its content.
    pub fn refuses_envelope(self) -> bool {
        matches!(self, Self::ENVELOPE_NOT_ALLOWED | Self::BAD_ENCRYPTION)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match *self {
            Self::WRONG_RAIDA => "wrong RAIDA",
            Self::UNKNOWN_COMMAND => "unknown command",
            Self::BAD_LENGTH => "bad length",
            Self::COIN_NOT_FOUND => "coin not found",
            Self::ENVELOPE_NOT_ALLOWED => "envelope not allowed for this command",
            Self::BAD_TRAILER => "bad trailer",
            Self::BAD_ENCRYPTION => "bad encryption",
            Self::BAD_CHALLENGE => "bad challenge",
            Self::BAD_PARAMETER => "bad parameter",
            Self::BAD_HMAC => "bad HMAC",
            Self::NO_SUCH_KEY_SET => "no such key set",
            Self::OWNED_BY_ANOTHER => "another coin owns this Content Server ID",
            Self::TICKETS_GOOD => "all tickets are good",
            Self::NO_TICKET_GOOD => "no ticket is good",
            Self::SOME_TICKETS_BAD => "some tickets are not good",
            Self::SUCCESS => "success",
            Self::UNKNOWN_KEY => "unknown or stale key",
            Self::INTERNAL => "internal error, or no room",
            _ => "unknown status",
        };
        write!(f, "{meaning} ({})", self.0)
    }
}
