//! Handshake 3: how a client and a Content Server agree on a session's key, attach to it, and forget it.
//! `docs/protocol.md` section 7. Pure, like the rest: bytes in, bytes out, time and randomness from the caller.
//!
//! A connection begins with a [`packet::FirstPacket`], whose response is a [`packet::Response`]. Where both ends
//! accept, [`record`]s follow. The client's side of the Noise handshake is [`Initiator`], the server's [`Responder`];
//! [`Agreement`] is the client's way from collected shares to a key, with the share check on it.

pub mod agreement;
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

/// What a Content Server gives with a handshake. `docs/protocol.md` section 7, message 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The name of the resumption secret; `None` where the server gives none, and after kind 5.
    pub resumption: Option<ResumptionId>,
    /// Seconds that the session's key lives at the server, and the resumption with it.
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
    /// The other end does not have the same psk, or its half of the key exchange is one that must be refused.
    #[error("the other end does not have the same key")]
    WrongPsk,
    /// What came is not of the form that it must have.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// There is no secret memory left.
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
