//! The two forms of answers in envelope 1. `docs/protocol.md` section 4.1.

use crate::cipher::BLOCK_LEN;
use crate::header::RequestHeader;

/// Where the keystream of an answer in envelope 1 begins. Both forms are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Where the request's began: whoever knows the text of the one reads the other.
    Restarts,
    /// Behind the last block of the request's body. Our nodes answer in this form only.
    Continues,
}

impl Counter {
    /// Both, in the order in which they are told apart.
    pub(crate) const BOTH: [Self; 2] = [Self::Restarts, Self::Continues];

    /// CTR's first counter block of the answer.
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
