//! The packets between client and Content Server under a narrow key: envelope type 6 over TCP, as on the live
//! network. `docs/protocol.md` section 8; wide keys use [`crate::handshake`]. Pure, like the rest of the crate: bytes
//! in, bytes out, time and randomness from the caller. Call functions that take a key where the key is exposed.

pub mod confirm;
pub mod handshake;
pub mod nonces;
pub mod packet;
pub mod response;
#[cfg(test)]
mod vectors;

pub use confirm::Confirmation;
pub use handshake::{Handshake, HandshakeNonce};
pub use nonces::NonceMemory;
pub use packet::{ClientKeyId, Covered, PacketHeader};
pub use response::Response;

/// Length of a session identifier: random, chosen by the client in its handshake.
pub const SESSION_IDENTIFIER_LEN: usize = 8;

/// Distinguishes the sessions of one key, in every packet after the handshake.
pub type SessionIdentifier = [u8; SESSION_IDENTIFIER_LEN];
