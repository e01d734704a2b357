//! What client and Content Server say to each other under a narrow key: envelope type 6 over TCP, as the live
//! network has it. `docs/protocol.md` section 8; wide keys have [`crate::handshake`]. Pure, like the rest: bytes in,
//! bytes out, time and randomness from the caller. Every call that takes a key is made from where the key is exposed.

pub mod answer;
pub mod confirm;
pub mod handshake;
pub mod nonces;
pub mod packet;
#[cfg(test)]
mod vectors;

pub use answer::Answer;
pub use confirm::Confirmation;
pub use handshake::{Handshake, HandshakeNonce};
pub use nonces::NonceMemory;
pub use packet::{ClientKeyId, Covered, PacketHeader};

/// Length of a session identifier: random, chosen by the client in its handshake.
pub const SESSION_IDENTIFIER_LEN: usize = 8;

/// What tells the sessions of one key apart, in every packet after the handshake.
pub type SessionIdentifier = [u8; SESSION_IDENTIFIER_LEN];
