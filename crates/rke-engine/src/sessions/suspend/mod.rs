//! Detects whether the machine has slept: the clock that counts sleep has advanced further than the one that does
//! not. Keys that were in memory during the sleep can be dropped before anyone uses them again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::clock::{Moment, Reading, nanos};

/// Two clocks that are read one after the other never agree exactly.
const TOLERANCE: Duration = Duration::from_millis(50);

/// Remembers how long the machine had slept when keys were last dropped because of it.
pub(crate) struct SuspendWatch {
    begun: Reading,
    slept_nanos: AtomicU64,
    /// A sleep that a test simulates: no machine sleeps for a test.
    #[cfg(feature = "testing")]
    made_up_nanos: AtomicU64,
}

/// A sleep that was not handled yet: how long the machine has slept since the watch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slept(Duration);

impl SuspendWatch {
    pub(crate) fn new() -> Self {
        // Read in the opposite order from later readings, so that the time between the two reads makes the measured
        // sleep shorter here too.
        let awake = Instant::now();
        let begun = Reading { moment: Moment::now(), awake };
        Self {
            begun,
            slept_nanos: AtomicU64::new(0),
            #[cfg(feature = "testing")]
            made_up_nanos: AtomicU64::new(0),
        }
    }

    /// Whether the machine has slept. This stays so until the sleep is [settled](Self::settle), so that no request
    /// uses a key that is about to be dropped.
    pub(crate) fn has_slept(&self, now: &Reading) -> Option<Slept> {
        let slept = now.slept_since(&self.begun);
        #[cfg(feature = "testing")]
        let slept = slept + Duration::from_nanos(self.made_up_nanos.load(Ordering::Relaxed));
        self.has_slept_for(slept)
    }

    /// Makes the clocks read, from now on, as if the machine had slept for this long.
    #[cfg(feature = "testing")]
    pub(crate) fn make_up(&self, sleep: Duration) {
        self.made_up_nanos.store(nanos(sleep), Ordering::Relaxed);
    }

    fn has_slept_for(&self, slept: Duration) -> Option<Slept> {
        let before = Duration::from_nanos(self.slept_nanos.load(Ordering::Relaxed));
        (slept >= before + TOLERANCE).then_some(Slept(slept))
    }

    /// Marks a sleep as handled.
    pub(crate) fn settle(&self, slept: Slept) {
        self.slept_nanos.fetch_max(nanos(slept.0), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
