//! Judges this machine's clock, as far as an exchange can. RAIDAs refuse a request whose time is more than 300
//! seconds from theirs, and do not say what theirs is. But a time that they have accepted can be carried forward on a
//! clock that nobody sets. A time that they refuse is compared with that.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::clock::{Moment, unix_seconds};

/// How many seconds the two clocks may differ before one counts as set: both are read to the second.
const IN_STEP: u64 = 10;

/// The time in the requests of an exchange, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedAt {
    pub(super) unix_seconds: u64,
    moment: Moment,
}

impl AskedAt {
    pub(super) fn now() -> Self {
        Self { unix_seconds: unix_seconds(), moment: Moment::now() }
    }
}

/// The latest time that enough RAIDAs have accepted.
#[derive(Default)]
pub(super) struct AcceptedTime(Mutex<Option<AskedAt>>);

impl AcceptedTime {
    /// Notes that enough RAIDAs have given shares for requests of this time.
    pub(super) fn note(&self, asked: AskedAt) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    }

    /// Compares a later time with the accepted one.
    pub(super) fn compare(&self, asked: AskedAt) -> ClockReading {
        let accepted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected =
            accepted.map(|at| at.unix_seconds.saturating_add(asked.moment.since(at.moment).as_secs()));
        ClockReading { said: asked.unix_seconds, expected }
    }
}

/// What this machine's clock said when RAIDAs were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The time in the requests, in Unix seconds.
    said: u64,
    /// What the clock should have said, going by the last time that RAIDAs accepted; `None` if they have accepted
    /// none yet.
    expected: Option<u64>,
}

/// Explains why RAIDAs refused this time.
impl fmt::Display for ClockReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, expected } = *self;
        let shown = i64::try_from(said).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let shown = shown.unwrap_or_default();
        match expected {
            Some(expected) if said.abs_diff(expected) > IN_STEP => {
                let (way, seconds) =
                    (if said > expected { "forward" } else { "back" }, said.abs_diff(expected));
                write!(
                    f,
                    "this machine's clock said {shown}, and has been put {way} by {seconds} seconds since RAIDAs last \
                     accepted its time. Set it right"
                )
            }
            Some(_) => write!(
                f,
                "this machine's clock said {shown}, and has not been set since RAIDAs last accepted its time. Is it right, \
                 within 300 seconds? Is the wallet's coin authentic?"
            ),
            None => write!(
                f,
                "this machine's clock is probably wrong. It said {shown}, and RAIDAs allow 300 seconds. If it is right, is \
                 the wallet's coin authentic?"
            ),
        }
    }
}

#[cfg(test)]
impl ClockReading {
    /// A reading of a clock that no RAIDA has accepted yet.
    pub(super) fn sample(said: u64) -> Self {
        Self { said, expected: None }
    }
}

#[cfg(test)]
mod tests;
