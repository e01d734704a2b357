//! The nonces of one key that were seen, so that no packet is taken twice, and none of one's own is
//! taken for the peer's. `docs/protocol.md` section 8.

use std::collections::HashSet;

use crate::cipher::BLOCK_LEN;
use crate::tunnel::packet::PacketHeader;

/// Most packets under one key. Past it the key is used up: forgetting would let old packets in again.
pub const MAX_PACKETS: usize = 1 << 20;

/// What becomes of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// Not seen before, and remembered from here on.
    New,
    /// Seen before: a replay, or a packet of one's own that comes back.
    Seen,
    /// The key has had [`MAX_PACKETS`].
    UsedUp,
}

/// The counter blocks that were used under one key, in both directions.
#[derive(Default)]
pub struct NonceMemory(HashSet<[u8; BLOCK_LEN]>);

impl NonceMemory {
    /// Takes note of a packet. To be called once it is verified, so that a forgery uses nothing up.
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
