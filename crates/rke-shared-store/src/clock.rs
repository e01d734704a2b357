//! Two clocks: this machine's, which counts while it is suspended, and the store's, as this node knows it.

use std::sync::Mutex;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::lock::lock;
use crate::name::Incarnation;

/// A moment on this machine's clock since its start, which counts while it is suspended and never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(Duration);

impl BootTime {
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32))
    }

    /// The moment `wait` from here.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long it is from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Since the machine started.
    pub fn since_start(self) -> Duration {
        self.0
    }
}

/// The store's time in milliseconds and the incarnation of a partition's primary, as of its latest response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) now: u64,
    pub(crate) incarnation: Incarnation,
}

/// What this node knows about the clock and the incarnation of each partition.
pub(crate) struct StoreClock {
    read: Mutex<Vec<Option<(Reading, BootTime)>>>,
}

impl StoreClock {
    pub(crate) fn new(partitions: u16) -> Self {
        Self { read: Mutex::new(vec![None; partitions.into()]) }
    }

    /// Notes a response of a partition. Returns whether it is the first of a new incarnation.
    pub(crate) fn note(&self, partition: u16, reading: Reading) -> bool {
        let mut read = lock(&self.read);
        let Some(place) = read.get_mut(usize::from(partition)) else { return false };
        let earlier = place.replace((reading, BootTime::now()));
        earlier.is_some_and(|(earlier, _)| earlier.incarnation != reading.incarnation)
    }

    /// What a partition's clock shows now. `None` before its first response.
    pub(crate) fn now(&self, partition: u16) -> Option<Reading> {
        let (reading, at) = (*lock(&self.read).get(usize::from(partition))?)?;
        Some(Reading { now: reading.now + milliseconds(BootTime::now().since(at)), ..reading })
    }
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
