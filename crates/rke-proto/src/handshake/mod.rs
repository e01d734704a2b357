//! Handshake 3: how a client and a Content Server agree on a session's key, attach to it, and forget it.
//! `docs/protocol.md` section 7. Pure, like the rest of the crate: bytes in, bytes out, time and randomness from the
//! caller.
//!
//! A connection begins with a [`packet::FirstPacket`], whose response is a [`packet::Response`]. If both ends accept,
//! [`record`]s follow. The client's side of the Noise handshake is [`Initiator`], the server's [`Responder`];
//! [`Agreement`] takes the client from collected shares to a key, including the share check.

pub mod agreement;
mod header;
pub mod ids;
mod initiator;
pub mod kem;
pub mod keys;
mod noise;
pub mod packet;
pub mod prologue;
pub mod psk;
pub mod record;
mod responder;
mod response;
pub mod share_check;
#[cfg(test)]
mod tests;

pub use agreement::{Agreed, Agreement, AgreementError};
pub use ids::{ForgetProof, ForgetToken, ID_LEN, KeyId, ResumptionId};
pub use initiator::{Accepted, Initiator};
pub use kem::{ENCAPSULATION_RANDOM_LEN, EphemeralKey, SEED_LEN};
pub use keys::SessionSecrets;
pub use packet::{FirstPacket, Reason, Response};
pub use prologue::{ExchangePrologue, Prologue};
pub use record::{BreakCode, Record, RecordError, RecordOpener, RecordSealer};
pub use responder::{MessageOne, Responder};

use rke_secret::SecretError;

use crate::cursor::DecodeError;

/// What a Content Server grants with a handshake. `docs/protocol.md` section 7, message 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The id of the resumption secret; `None` if the server grants none, and after kind 5.
    pub resumption: Option<ResumptionId>,
    /// Seconds for which the server keeps the session's key and the resumption.
    pub lifetime: u32,
}

impl Grant {
    const LEN: usize = ID_LEN + 4;

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        if let Some(ResumptionId(id)) = self.resumption {
            bytes[..ID_LEN].copy_from_slice(&id);
        }
        bytes[ID_LEN..].copy_from_slice(&self.lifetime.to_be_bytes());
        bytes
    }

    /// Bytes after the two fields are ignored.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = crate::cursor::Cursor::new(payload);
        let resumption = ResumptionId::from_wire(cursor.array("resumption id")?);
        Ok(Self { resumption, lifetime: cursor.u32("lifetime")? })
    }
}

/// Why a handshake cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other end has a different psk, or its half of the key exchange must be refused.
    #[error("the other end does not have the same key")]
    WrongPsk,
    /// The message is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// Secret memory is full.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The two directions of a connection after a handshake.
pub struct Transport {
    /// Seals what this end sends.
    pub sealer: RecordSealer,
    /// Opens what the other end sends.
    pub opener: RecordOpener,
}
