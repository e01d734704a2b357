//! Two clocks: one for deadlines, which also counts while the machine is suspended, and one for the times shown to
//! people.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use jiff::{Timestamp, TimestampRound, Unit};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A moment in nanoseconds, on a clock that starts with the machine and never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(nanos(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)))
    }

    /// The moment `wait` from here.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// The moment this long after the machine started.
    pub(crate) fn since_start(time: Duration) -> Self {
        Self(nanos(time))
    }

    /// Nanoseconds since the machine started.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// How long it is from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment, and the same moment on the clock that stops while the machine is suspended.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// On the clock that keeps counting while the machine is suspended.
    pub moment: Moment,
    /// On the clock that stops meanwhile.
    pub awake: Instant,
}

impl Reading {
    /// Reads both clocks now, in this order, so that the time between the two reads makes a sleep shorter, never
    /// longer.
    pub fn now() -> Self {
        Self { moment: Moment::now(), awake: Instant::now() }
    }

    /// How long the machine was suspended between `earlier` and this reading.
    pub(crate) fn slept_since(&self, earlier: &Self) -> Duration {
        self.moment.since(earlier.moment).saturating_sub(self.awake - earlier.awake)
    }
}

/// A duration in nanoseconds, capped at about five centuries.
pub(crate) fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Waits on the clock that counts sleep, so that anything due when the machine wakes up happens then.
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that is not set. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the system has no timer left.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(deprecated, reason = "its unsafe successor is for types whose descriptor may change")]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Returns at `moment`.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) async fn wait_until(&self, moment: Moment) -> io::Result<()> {
        let since_start = Duration::from_nanos(moment.0);
        let it_value = Timespec {
            tv_sec: since_start.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: since_start.subsec_nanos().into(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &setting)?;
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(&self.0, &mut [0; 8]) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The time of day in UTC, truncated to whole seconds, as the API shows it.
pub fn wall_clock() -> Timestamp {
    let now = Timestamp::now();
    now.round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).unwrap_or(now)
}

/// Unix seconds as a time of day, for the API.
pub fn timestamp(seconds: impl Into<u64>) -> Timestamp {
    let seconds = i64::try_from(seconds.into()).ok();
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

/// The time of day in Unix seconds, as used on the wire.
pub fn unix_seconds() -> u64 {
    Timestamp::now().as_second().try_into().unwrap_or_default()
}

/// The time of day in Unix seconds, accurate to a few milliseconds. Faster, for frequent calls that only need
/// seconds.
pub(crate) fn coarse_unix_seconds() -> u32 {
    clock_gettime(ClockId::RealtimeCoarse).tv_sec.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
