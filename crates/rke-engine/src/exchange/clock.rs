//! This machine's clock, as far as an exchange can judge it. RAIDAs refuse a request whose time is over 300 seconds from
//! theirs, and do not say what theirs is. But a time that they have accepted goes on by a clock that nobody sets, and that
//! is what a time can be compared with which they refuse.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::clock::{Moment, unix_seconds};

/// Seconds that the two clocks may differ by before one has been set: both are read to the second.
const IN_STEP: u64 = 10;

/// The time that the requests of an exchange name, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedAt {
    pub(super) unix_seconds: u64,
    moment: Moment,
}

impl AskedAt {
    /// Now.
    pub(super) fn now() -> Self {
        Self { unix_seconds: unix_seconds(), moment: Moment::now() }
    }
}

/// The last time that enough RAIDAs have accepted.
#[derive(Default)]
pub(super) struct AcceptedTime(Mutex<Option<AskedAt>>);

impl AcceptedTime {
    /// Enough RAIDAs have given shares for requests of this time.
    pub(super) fn note(&self, asked: AskedAt) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    }

    /// What is known of a later time.
    pub(super) fn compare(&self, asked: AskedAt) -> ClockReading {
        let accepted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected =
            accepted.map(|at| at.unix_seconds.saturating_add(asked.moment.since(at.moment).as_secs()));
        ClockReading { said: asked.unix_seconds, expected }
    }
}

/// What the clock said when RAIDAs were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The time that the requests named, in Unix seconds.
    said: u64,
    /// What it should have said after the time that RAIDAs accepted last; `None` where they have accepted none yet.
    expected: Option<u64>,
}

/// What it means that RAIDAs refused this time.
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
    /// One of a clock that no RAIDA has accepted yet.
    pub(super) fn sample(said: u64) -> Self {
        Self { said, expected: None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_was_set_since_raidas_accepted_its_time_is_told_by_how_much() {
        let (accepted, start) = (AcceptedTime::default(), Moment::now());
        let at = |unix_seconds: u64, after: u64| AskedAt {
            unix_seconds,
            moment: start.after(Duration::from_secs(after)),
        };
        let told = |asked| accepted.compare(asked).to_string();
        assert!(told(at(0, 0)).contains("is probably wrong. It said 1970-01-01T00:00:00Z, and"));
        accepted.note(at(1_800_000_000, 0));
        for (said, expected) in [
            (1_800_000_060, "said 2027-01-15T08:01:00Z, and has not been set since"),
            (1_800_000_069, "has not been set since"),
            (1_800_003_660, "has been put forward by 3600 seconds since"),
            (1_799_999_660, "said 2027-01-15T07:54:20Z, and has been put back by 400 seconds since"),
        ] {
            assert!(told(at(said, 60)).contains(expected), "{}", told(at(said, 60)));
        }
        accepted.note(at(1_800_003_660, 60));
        assert!(told(at(1_800_003_661, 61)).contains("has not been set since"), "what was accepted counts");
    }
}
