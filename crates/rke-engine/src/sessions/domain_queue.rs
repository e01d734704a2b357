//! One exchange for one domain at a time. Whoever comes later waits for the one that runs, and
//! learns how it ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as TurnMutex, MutexGuard as TurnGuard};
use tokio::time::Instant;

use crate::Domain;

/// The gates of the domains that somebody is exchanging or waiting for.
pub(crate) struct Gates<F>(Mutex<HashMap<Domain, Arc<Turn<F>>>>);

/// Whose turn it is for one domain, and the last failure `F` with the time when it happened.
type Turn<F> = TurnMutex<Option<(Instant, F)>>;

/// A place in the queue of one domain. The gate goes with the last place.
pub(crate) struct Place<'a, F> {
    gates: &'a Gates<F>,
    domain: Domain,
    turn: Arc<Turn<F>>,
    arrived: Instant,
}

/// It is one's turn: nobody else exchanges for this domain.
pub(crate) struct OwnTurn<'a, F> {
    last_failure: TurnGuard<'a, Option<(Instant, F)>>,
    arrived: Instant,
}

impl<F> Default for Gates<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Clone> Gates<F> {
    /// Queues for a domain.
    pub(crate) fn queue(&self, domain: &Domain) -> Place<'_, F> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(gates.entry(domain.clone()).or_default());
        Place { gates: self, domain: domain.clone(), turn, arrived: Instant::now() }
    }
}

impl<F: Clone> Place<'_, F> {
    /// Waits for one's turn.
    pub(crate) async fn wait(&self) -> OwnTurn<'_, F> {
        OwnTurn { last_failure: self.turn.lock().await, arrived: self.arrived }
    }
}

impl<F> Drop for Place<'_, F> {
    fn drop(&mut self) {
        let mut gates = self.gates.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own and this one: nobody else is in the queue.
        if Arc::strong_count(&self.turn) == 2 {
            gates.remove(&self.domain);
        }
    }
}

impl<F: Clone> OwnTurn<'_, F> {
    /// The failure of the exchange that one has waited for.
    pub(crate) fn failure_while_waiting(&self) -> Option<F> {
        let (at, failure) = self.last_failure.as_ref()?;
        (*at >= self.arrived).then(|| failure.clone())
    }

    /// Leaves a failure for those who wait.
    pub(crate) fn leave_failure(&mut self, failure: F) {
        *self.last_failure = Some((Instant::now(), failure));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> Domain {
        Domain::new(name).expect("a domain")
    }

    #[tokio::test]
    async fn one_turn_at_a_time_for_each_domain() {
        let gates = Gates::<u8>::default();
        let (first, second, other) =
            (gates.queue(&domain("a.test")), gates.queue(&domain("a.test")), gates.queue(&domain("b.test")));
        let turn = first.wait().await;
        drop(other.wait().await);
        let waiting = second.wait();
        tokio::pin!(waiting);
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await
        );
        drop(turn);
        assert!(waiting.await.failure_while_waiting().is_none());
    }

    #[tokio::test]
    async fn those_who_waited_learn_of_the_failure_and_those_who_come_later_do_not() {
        let gates = Gates::<u8>::default();
        let (first, second) = (gates.queue(&domain("a.test")), gates.queue(&domain("a.test")));
        first.wait().await.leave_failure(7);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let third = gates.queue(&domain("a.test"));
        assert_eq!(second.wait().await.failure_while_waiting(), Some(7));
        assert_eq!(third.wait().await.failure_while_waiting(), None);
    }

    #[tokio::test]
    async fn a_gate_goes_with_the_last_who_queued() {
        let gates = Gates::<u8>::default();
        let (first, second) = (gates.queue(&domain("a.test")), gates.queue(&domain("a.test")));
        drop(first);
        assert_eq!(gates.0.lock().expect("unpoisoned").len(), 1);
        drop(second);
        assert_eq!(gates.0.lock().expect("unpoisoned").len(), 0);
    }
}
