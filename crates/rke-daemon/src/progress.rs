//! How running exchanges are getting on, for those who watch: each step is told to all of them, and
//! nothing is made where nobody listens. Who is too slow misses steps, and learns that he did.

use std::sync::Arc;
use std::time::Duration;

use rke_host::udp::Step;
use rke_proto::RaidaIndex;
use rke_proto::round::Fault;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Domain;

/// Who may watch at one time.
pub const MAX_WATCHERS: usize = 32;

/// Steps that a watcher may lag behind: five exchanges' worth.
const KEPT_STEPS: usize = 256;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One RAIDA's part in an exchange.
    Share {
        /// For which domain.
        domain: Domain,
        /// Which RAIDA.
        raida: RaidaIndex,
        /// What it did.
        state: ShareState,
    },
    /// Steps that this watcher has missed.
    Missed,
}

/// How one RAIDA's share is coming along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareState {
    /// It was asked, or asked again.
    Asked,
    /// Its share has come, after this time.
    Answered(Duration),
    /// It gave none, or a wrong one.
    Failed(Fault),
}

/// Tells of the exchanges.
pub struct Progress {
    steps: broadcast::Sender<Message>,
    seats: Arc<Semaphore>,
}

#[derive(Clone)]
enum Message {
    Event(Event),
    Closing,
}

/// A watcher's seat; it is free again when this goes.
pub struct Watch {
    steps: broadcast::Receiver<Message>,
    _seat: OwnedSemaphorePermit,
}

impl Default for Progress {
    fn default() -> Self {
        let (steps, _) = broadcast::channel(KEPT_STEPS);
        Self { steps, seats: Arc::new(Semaphore::new(MAX_WATCHERS)) }
    }
}

impl Progress {
    /// A seat from which all steps from now on are seen. `None` where all are taken.
    pub fn watch(&self) -> Option<Watch> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Watch { steps: self.steps.subscribe(), _seat: seat })
    }

    /// Sends the watchers home.
    pub(crate) fn close(&self) {
        let _ = self.steps.send(Message::Closing);
    }

    /// Tells a step of the round that collects shares for `domain`.
    pub(crate) fn step(&self, domain: &Domain, step: Step) {
        let (raida, state) = match step {
            Step::Asked(raida) => (raida, ShareState::Asked),
            Step::Settled(raida, Ok(took)) => (raida, ShareState::Answered(took)),
            Step::Settled(raida, Err(fault)) => (raida, ShareState::Failed(fault)),
        };
        if self.steps.receiver_count() > 0 {
            let event = Event::Share { domain: domain.clone(), raida, state };
            let _ = self.steps.send(Message::Event(event));
        }
    }
}

impl Watch {
    /// The next event. `None` where there will be none any more.
    pub async fn next(&mut self) -> Option<Event> {
        match self.steps.recv().await {
            Ok(Message::Event(event)) => Some(event),
            Err(RecvError::Lagged(_)) => Some(Event::Missed),
            Ok(Message::Closing) | Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(progress: &Progress, raida: u8) {
        let domain = Domain::new("a.test").expect("a domain");
        progress.step(&domain, Step::Asked(RaidaIndex::new(raida).expect("an index")));
    }

    #[tokio::test]
    async fn who_is_slow_misses_steps_and_learns_it() {
        let progress = Progress::default();
        let mut watch = progress.watch().expect("a seat");
        for step in 0..KEPT_STEPS + 10 {
            ask(&progress, (step % 25) as u8);
        }
        assert_eq!(watch.next().await, Some(Event::Missed));
        let oldest = watch.next().await;
        assert!(
            matches!(&oldest, Some(Event::Share { raida, state: ShareState::Asked, .. }) if raida.get() == 10),
            "{oldest:?}"
        );
    }

    #[tokio::test]
    async fn seats_are_few_and_free_again_when_watchers_go() {
        let progress = Progress::default();
        let mut seats: Vec<Watch> = std::iter::from_fn(|| progress.watch()).collect();
        assert_eq!(seats.len(), MAX_WATCHERS);
        seats.pop();
        assert!(progress.watch().is_some());
        progress.close();
        assert_eq!(seats[0].next().await, None);
    }
}
