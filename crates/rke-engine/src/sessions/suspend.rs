//! Whether the machine has slept: the clock that counts sleep has gone further than the one that does
//! not. Keys that lay in memory meanwhile can be dropped before anybody uses them again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::clock::{Moment, Reading, nanos};

/// Two clocks that are read one after the other are never quite equal.
const TOLERANCE: Duration = Duration::from_millis(50);

/// Remembers how long the machine had slept when keys were last dropped for that.
pub(crate) struct SuspendWatch {
    begun: Reading,
    slept_nanos: AtomicU64,
    /// A sleep that a test makes up: no machine sleeps for one.
    #[cfg(feature = "testing")]
    made_up_nanos: AtomicU64,
}

/// A sleep that nothing was done about yet: how long the machine has slept since the watch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slept(Duration);

impl SuspendWatch {
    pub(crate) fn new() -> Self {
        // The other way round than later, so that what lies between the two clocks makes a sleep less here too.
        let awake = Instant::now();
        let begun = Reading { moment: Moment::now(), awake };
        Self {
            begun,
            slept_nanos: AtomicU64::new(0),
            #[cfg(feature = "testing")]
            made_up_nanos: AtomicU64::new(0),
        }
    }

    /// Whether the machine has slept. It goes on to say so until that is [settled](Self::settle), so that
    /// nobody who asks meanwhile goes on with a key that is about to be dropped.
    pub(crate) fn has_slept(&self, now: &Reading) -> Option<Slept> {
        let slept = now.slept_since(&self.begun);
        #[cfg(feature = "testing")]
        let slept = slept + Duration::from_nanos(self.made_up_nanos.load(Ordering::Relaxed));
        self.has_slept_for(slept)
    }

    /// From here on the clocks are read as after a sleep of this length.
    #[cfg(feature = "testing")]
    pub(crate) fn make_up(&self, sleep: Duration) {
        self.made_up_nanos.store(nanos(sleep), Ordering::Relaxed);
    }

    fn has_slept_for(&self, slept: Duration) -> Option<Slept> {
        let before = Duration::from_nanos(self.slept_nanos.load(Ordering::Relaxed));
        (slept >= before + TOLERANCE).then_some(Slept(slept))
    }

    /// Says that what had to be done is done.
    pub(crate) fn settle(&self, slept: Slept) {
        self.slept_nanos.fetch_max(nanos(slept.0), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_seen_until_it_is_settled() {
        let watch =
            SuspendWatch { slept_nanos: nanos(Duration::from_secs(100)).into(), ..SuspendWatch::new() };
        assert_eq!(watch.has_slept_for(Duration::from_secs(100)), None);
        assert_eq!(watch.has_slept_for(Duration::from_millis(100_049)), None);
        let slept = Duration::from_millis(100_050);
        assert_eq!(watch.has_slept_for(slept), Some(Slept(slept)));
        assert_eq!(watch.has_slept_for(slept), Some(Slept(slept)));
        watch.settle(Slept(slept));
        assert_eq!(watch.has_slept_for(slept), None);
        assert!(watch.has_slept_for(Duration::from_secs(160)).is_some());
    }

    #[test]
    fn a_machine_that_is_awake_has_not_slept() {
        let watch = SuspendWatch::new();
        std::thread::sleep(Duration::from_millis(120));
        assert_eq!(watch.has_slept(&Reading::now()), None);
    }
}
