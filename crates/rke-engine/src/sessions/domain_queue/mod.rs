//! One exchange at a time for each domain. Later requests wait for the running one and share its result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as TurnMutex, MutexGuard as TurnGuard};
use tokio::time::Instant;

use crate::Domain;

/// The queues of the domains that requests are exchanging or waiting for.
pub(crate) struct DomainQueues<F>(Mutex<HashMap<Domain, Arc<Turn<F>>>>);

/// The turn for one domain, and its last failure `F` with the time when it happened.
type Turn<F> = TurnMutex<Option<(Instant, F)>>;

/// A place in the queue of one domain. The queue is removed with its last place.
pub(crate) struct Place<'a, F> {
    queues: &'a DomainQueues<F>,
    domain: Domain,
    turn: Arc<Turn<F>>,
    arrived: Instant,
}

/// The turn of one request: no other request exchanges for this domain meanwhile.
pub(crate) struct OwnTurn<'a, F> {
    last_failure: TurnGuard<'a, Option<(Instant, F)>>,
    arrived: Instant,
}

impl<F> Default for DomainQueues<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Clone> DomainQueues<F> {
    pub(crate) fn queue(&self, domain: &Domain) -> Place<'_, F> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(queues.entry(domain.clone()).or_default());
        Place { queues: self, domain: domain.clone(), turn, arrived: Instant::now() }
    }
}

impl<F: Clone> Place<'_, F> {
    /// Waits for this request's turn.
    pub(crate) async fn wait(&self) -> OwnTurn<'_, F> {
        OwnTurn { last_failure: self.turn.lock().await, arrived: self.arrived }
    }
}

impl<F> Drop for Place<'_, F> {
    fn drop(&mut self) {
        let mut queues = self.queues.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map and this place hold it: nobody else is in the queue.
        if Arc::strong_count(&self.turn) == 2 {
            queues.remove(&self.domain);
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
