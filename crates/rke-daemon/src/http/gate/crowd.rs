//! Who makes room when the connections of a door become many. From half of what it takes, each new one sends home the
//! connection that has been idle for longest, and where a token is wanted, those that have not shown it leave after
//! their answer. One with a request in progress stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::time::Instant;

const BUSY: u64 = 0;
const SENT_HOME: u64 = u64::MAX;

/// The connections of one door.
pub(in crate::http) struct Crowd {
    most: usize,
    present: AtomicUsize,
    began: Instant,
}

/// The place of one connection.
pub(in crate::http) struct Place {
    crowd: Arc<Crowd>,
    /// [`BUSY`], [`SENT_HOME`], or since when it is idle: microseconds from the crowd's beginning, and one.
    state: AtomicU64,
    has_shown_token: AtomicBool,
}

impl Crowd {
    /// With room for so many.
    pub(in crate::http) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, present: AtomicUsize::new(0), began: Instant::now() })
    }

    /// A place for a new connection, which is idle until its first request.
    pub(in crate::http) fn enter(self: &Arc<Self>) -> Arc<Place> {
        self.present.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            crowd: Arc::clone(self),
            state: AtomicU64::new(BUSY),
            has_shown_token: AtomicBool::new(false),
        };
        place.is_idle_since(Instant::now());
        Arc::new(place)
    }

    /// Whether more than half of the places are taken.
    pub(in crate::http) fn is_large(&self) -> bool {
        self.present.load(Ordering::Relaxed) > self.most / 2
    }
}

impl Place {
    /// It waits for a request since then.
    pub(in crate::http) fn is_idle_since(&self, moment: Instant) {
        let since = moment.saturating_duration_since(self.crowd.began).as_micros() as u64 + 1;
        let _ = self
            .state
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |state| (state != SENT_HOME).then_some(since));
    }

    /// A request has come.
    pub(in crate::http) fn is_busy(&self) {
        let _ = self
            .state
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |state| (state != SENT_HOME).then_some(BUSY));
    }

    /// The token has come with a request.
    pub(in crate::http) fn has_shown_token(&self) {
        self.has_shown_token.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end with the answer to its request, where a token is wanted.
    pub(in crate::http) fn is_to_leave(&self) -> bool {
        !self.has_shown_token.load(Ordering::Relaxed) && self.crowd.is_large()
    }

    /// Since when it waits. `None` where it may not be sent home.
    pub(in crate::http) fn idle_since(&self) -> Option<u64> {
        let state = self.state.load(Ordering::Relaxed);
        let may_go = !matches!(state, BUSY | SENT_HOME) && !self.has_shown_token.load(Ordering::Relaxed);
        may_go.then_some(state)
    }

    /// Says that it is sent home, unless it is no longer idle since then.
    pub(in crate::http) fn send_home(&self, idle_since: u64) -> bool {
        let sent = self.state.compare_exchange(idle_since, SENT_HOME, Ordering::Relaxed, Ordering::Relaxed);
        sent.is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.present.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_busy_or_has_shown_the_token_is_not_sent_home() {
        let crowd = Crowd::new(4);
        let (one, other) = (crowd.enter(), crowd.enter());
        let since = one.idle_since().expect("idle");
        one.is_busy();
        assert!(one.idle_since().is_none() && !one.send_home(since));
        one.is_idle_since(Instant::now() + Duration::from_secs(1));
        assert!(one.idle_since() > other.idle_since());
        one.has_shown_token();
        assert!(one.idle_since().is_none());
        assert!(other.send_home(other.idle_since().expect("idle")));
        // What comes too late changes nothing.
        other.is_busy();
        other.is_idle_since(Instant::now());
        assert!(other.idle_since().is_none());
    }

    #[test]
    fn a_crowd_is_large_from_half_of_its_places() {
        let crowd = Crowd::new(4);
        let mut places: Vec<_> = (0..2).map(|_| crowd.enter()).collect();
        assert!(!crowd.is_large() && !places[0].is_to_leave());
        places.push(crowd.enter());
        assert!(crowd.is_large() && places[0].is_to_leave());
        places[0].has_shown_token();
        assert!(!places[0].is_to_leave());
        places.pop();
        assert!(!crowd.is_large());
    }
}
