//! The outcome of one RAIDA in a round.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cursor::DecodeError;
use crate::envelope::Counter;
use crate::{RaidaIndex, Status};

/// Why a RAIDA contributed no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No valid response arrived in time.
    #[error("no answer")]
    Silent,
    /// The machine could not send to it.
    #[error("unreachable")]
    Unreachable,
    /// ICMP reports that nothing listens at its port.
    #[error("refused: nothing listens at its port")]
    Closed,
    /// It responded with a status other than success.
    #[error("refused: {0}")]
    Refused(Status),
    /// The Content Server has a different share.
    #[error("gave a wrong share")]
    WrongShare,
    /// Only responses that had to be ignored arrived.
    #[error("malformed response: {0}")]
    Malformed(DecodeError),
}

/// The outcome of one RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub raida: RaidaIndex,
    /// The endpoint of the request.
    pub endpoint: SocketAddr,
    /// The time from the request to the response, including resends, or why there is none.
    pub result: Result<Duration, Fault>,
    /// The way that yielded the share, or the last way tried.
    pub way: Way,
}

/// The way in which a RAIDA is sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In the recipient's envelope.
    First,
    /// In envelope 4, because a response in envelope 5 did not open.
    Envelope4,
    /// In envelope 1, because no share came in envelope 4; its responses had this counter.
    Envelope1(Counter),
}
