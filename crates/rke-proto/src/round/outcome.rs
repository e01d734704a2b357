//! What becomes of a RAIDA in a round.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cursor::DecodeError;
use crate::envelope::Counter;
use crate::{RaidaIndex, Status};

/// Why a RAIDA gave no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing valid came back in time.
    #[error("no answer")]
    Silent,
    /// The machine could not send to it.
    #[error("unreachable")]
    Unreachable,
    /// ICMP says that nothing listens at its port.
    #[error("refused: nothing listens at its port")]
    Closed,
    /// It answered with another status than success.
    #[error("refused: {0}")]
    Refused(Status),
    /// The Content Server has another share.
    #[error("gave a wrong share")]
    WrongShare,
    /// Only answers that had to be dropped came back.
    #[error("malformed answer: {0}")]
    Malformed(DecodeError),
}

/// What became of one RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub raida: RaidaIndex,
    /// Where it was asked.
    pub endpoint: SocketAddr,
    /// How long it took from asking to the answer, resends included, or why there is none.
    pub result: Result<Duration, Fault>,
    /// In which way it gave its share, or was asked last.
    pub way: Way,
}

/// In which way a RAIDA was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In the recipient's envelope.
    First,
    /// In envelope 4, because an answer in envelope 5 did not open.
    Envelope4,
    /// In envelope 1, because no share came in envelope 4, and the counter of its answers was this.
    Envelope1(Counter),
}
