//! Two clocks: one for deadlines, which also counts while the machine is suspended, and one for the
//! times that people see.

use std::time::Duration;

use jiff::{Timestamp, TimestampRound, Unit};
use rustix::time::{ClockId, clock_gettime};

/// A moment on the clock that counts from the machine's start and never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32))
    }

    /// The moment `wait` from here.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long it is from `earlier` to here; zero where it lies behind.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The time of day in UTC, cut to whole seconds, as the API shows it.
pub fn wall_clock() -> Timestamp {
    let now = Timestamp::now();
    now.round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).unwrap_or(now)
}

/// The time of day in Unix seconds, as the wire has it.
pub fn unix_seconds() -> u64 {
    Timestamp::now().as_second().try_into().unwrap_or_default()
}
