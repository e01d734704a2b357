//! One exchange at a time for each domain. Later requests wait for the running one and share its result. The keys of shared sessions
//! are fetched in the same way, one request at a time for each session.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as TurnMutex, MutexGuard as TurnGuard};
use tokio::time::Instant;

use crate::Domain;

/// The queues of the domains that requests are exchanging or waiting for.
pub(crate) type DomainQueues<F> = Queues<Domain, F>;

/// The queues of what requests are working on or waiting for.
pub(crate) struct Queues<K: Hash + Eq, F>(Mutex<HashMap<K, Arc<Turn<F>>>>);

/// The turn for one of these, and its last failure `F` with the time when it happened.
type Turn<F> = TurnMutex<Option<(Instant, F)>>;

/// A place in one queue. The queue is removed with its last place.
pub(crate) struct Place<'a, K: Hash + Eq, F> {
    queues: &'a Queues<K, F>,
    of: K,
    turn: Arc<Turn<F>>,
    arrived: Instant,
}

/// The turn of one request: no other request works on the same meanwhile.
pub(crate) struct OwnTurn<'a, F> {
    last_failure: TurnGuard<'a, Option<(Instant, F)>>,
    arrived: Instant,
}

impl<K: Hash + Eq, F> Default for Queues<K, F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone, F: Clone> Queues<K, F> {
    pub(crate) fn queue(&self, of: &K) -> Place<'_, K, F> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(queues.entry(of.clone()).or_default());
        Place { queues: self, of: of.clone(), turn, arrived: Instant::now() }
    }
}

impl<K: Hash + Eq, F: Clone> Place<'_, K, F> {
    /// Waits for this request's turn.
    pub(crate) async fn wait(&self) -> OwnTurn<'_, F> {
        OwnTurn { last_failure: self.turn.lock().await, arrived: self.arrived }
    }
}

impl<K: Hash + Eq, F> Drop for Place<'_, K, F> {
    fn drop(&mut self) {
        let mut queues = self.queues.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map and this place hold it: nobody else is in the queue.
        if Arc::strong_count(&self.turn) == 2 {
            queues.remove(&self.of);
        }
    }
}

impl<F: Clone> OwnTurn<'_, F> {
    /// The failure of the exchange that this request has waited for.
    pub(crate) fn failure_while_waiting(&self) -> Option<F> {
        let (at, failure) = self.last_failure.as_ref()?;
        (*at >= self.arrived).then(|| failure.clone())
    }

    /// Leaves a failure for the requests that wait.
    pub(crate) fn leave_failure(&mut self, failure: F) {
        *self.last_failure = Some((Instant::now(), failure));
    }
}

#[cfg(test)]
mod tests;
