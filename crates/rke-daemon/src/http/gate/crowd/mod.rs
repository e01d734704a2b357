//! Makes room when a door has many connections. Once more than half of its places are taken, each new connection
//! closes the one that has been idle for longest; those that have shown the token are spared. If a token is
//! required, connections that have not shown it close after their response. A connection with a request in progress
//! stays.

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
    /// [`BUSY`], [`SENT_HOME`], or since when the connection has been idle: microseconds since the crowd began,
    /// plus one.
    state: AtomicU64,
    has_shown_token: AtomicBool,
}

impl Crowd {
    /// A crowd with this many places.
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
    /// Notes that the connection has been waiting for a request since `moment`.
    pub(in crate::http) fn is_idle_since(&self, moment: Instant) {
        let since = moment.saturating_duration_since(self.crowd.began).as_micros() as u64 + 1;
        let _ = self
            .state
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |state| (state != SENT_HOME).then_some(since));
    }

    /// Notes that a request has arrived.
    pub(in crate::http) fn is_busy(&self) {
        let _ = self
            .state
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |state| (state != SENT_HOME).then_some(BUSY));
    }

    /// Notes that a request has carried the token.
    pub(in crate::http) fn has_shown_token(&self) {
        self.has_shown_token.store(true, Ordering::Relaxed);
    }

    /// Whether the connection closes after its response, if a token is required.
    pub(in crate::http) fn is_to_leave(&self) -> bool {
        !self.has_shown_token.load(Ordering::Relaxed) && self.crowd.is_large()
    }

    /// Since when the connection has been idle. `None` if it may not be sent home.
    pub(in crate::http) fn idle_since(&self) -> Option<u64> {
        let state = self.state.load(Ordering::Relaxed);
        let may_go = !matches!(state, BUSY | SENT_HOME) && !self.has_shown_token.load(Ordering::Relaxed);
        may_go.then_some(state)
    }

    /// Marks the connection as sent home. Returns `false` if it has not been idle since `idle_since`.
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
mod tests;
