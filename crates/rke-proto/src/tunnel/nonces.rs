//! The nonces seen under one key, so that no packet is accepted twice and none of this end's own is taken for the
//! peer's. `docs/protocol.md` section 8.

use std::collections::HashSet;

use crate::cipher::BLOCK_LEN;
use crate::tunnel::packet::PacketHeader;

/// The limit on packets under one key. Beyond it the key is used up: forgetting would let old packets in again.
pub const MAX_PACKETS: usize = 1 << 20;

/// The state of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// Not seen before, and remembered from here on.
    New,
    /// Seen before: a replay, or a packet of this end that was reflected.
    Seen,
    /// The key has had [`MAX_PACKETS`].
    UsedUp,
}

/// The counter blocks that were used under one key, in both directions.
#[derive(Default)]
pub struct NonceMemory(HashSet<[u8; BLOCK_LEN]>);

impl NonceMemory {
    /// Records a packet. Call this once it is verified, so that forgeries do not use up the limit.
    pub fn note(&mut self, header: &PacketHeader) -> Nonce {
        if self.0.contains(header.counter_block()) {
            return Nonce::Seen;
        }
        if self.0.len() >= MAX_PACKETS {
            return Nonce::UsedUp;
        }
        self.0.insert(*header.counter_block());
        Nonce::New
    }
}
