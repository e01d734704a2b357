//! The two forms of responses in envelope 1. `docs/protocol.md` section 4.1.

use crate::cipher::BLOCK_LEN;
use crate::header::RequestHeader;

/// Where the keystream of a response in envelope 1 begins. Both forms are in use on the public network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// At the request's first block: anyone who knows the text of one can read the other.
    Restarts,
    /// After the last block of the request's body. Our nodes respond in this form only.
    Continues,
}

impl Counter {
    /// Both, in the order in which they are tried.
    pub(crate) const BOTH: [Self; 2] = [Self::Restarts, Self::Continues];

    /// CTR's first counter block of the response.
    pub(super) fn first_block(self, to: &RequestHeader) -> [u8; BLOCK_LEN] {
        let block = to.counter_block();
        match self {
            Self::Restarts => block,
            Self::Continues => {
                let body_len = usize::from(to.body_len).saturating_sub(to.envelope.tail_len());
                let blocks = body_len.div_ceil(BLOCK_LEN) as u128;
                u128::from_be_bytes(block).wrapping_add(blocks).to_be_bytes()
            }
        }
    }
}
