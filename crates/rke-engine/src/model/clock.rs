//! Two clocks: one for deadlines, which also counts while the machine is suspended, and one for the
//! times that people see.

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

/// A moment on the clock that counts from the machine's start and never jumps, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(nanos(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)))
    }

    /// The moment `wait` from here.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// Nanoseconds since the machine's start.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// How long it is from `earlier` to here; zero where it lies behind.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment, and the same on the clock that stands still while the machine is suspended.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// By the clock that goes on while the machine sleeps.
    pub moment: Moment,
    /// By the clock that stands while it does.
    pub awake: Instant,
}

impl Reading {
    /// Now. The clocks are read in this order, so that what lies between makes a sleep less, never more.
    pub fn now() -> Self {
        Self { moment: Moment::now(), awake: Instant::now() }
    }

    /// How long the machine was suspended between `earlier` and here.
    pub(crate) fn slept_since(&self, earlier: &Self) -> Duration {
        self.moment.since(earlier.moment).saturating_sub(self.awake - earlier.awake)
    }
}

/// All of a time that five centuries hold.
pub(crate) fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Waits on the clock that counts sleep, so that what is due when the machine wakes up happens then.
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// An alarm that is not set. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system has no timer left.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(deprecated, reason = "its unsafe successor is for types whose descriptor may change")]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Returns when `moment` has come.
    ///
    /// # Errors
    /// What the system said.
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

/// The time of day in UTC, cut to whole seconds, as the API shows it.
pub fn wall_clock() -> Timestamp {
    let now = Timestamp::now();
    now.round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).unwrap_or(now)
}

/// The time of day in Unix seconds, as the wire has it.
pub fn unix_seconds() -> u64 {
    Timestamp::now().as_second().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_goes_off_at_its_moment_and_can_be_set_again() {
        let alarm = Alarm::new().expect("a timer");
        for _ in 0..2 {
            let moment = Moment::now().after(Duration::from_millis(30));
            alarm.wait_until(moment).await.expect("waited");
            let late = Moment::now().since(moment);
            assert!(Moment::now() >= moment && late < Duration::from_secs(5), "{late:?}");
        }
        alarm.wait_until(Moment(1)).await.expect("long ago");
    }
}
