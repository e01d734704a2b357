//! The progress of running exchanges, for watchers. Each step is sent to all of them, and nothing is built if nobody
//! watches. A watcher that is too slow misses steps, and is notified that it did.

use std::sync::Arc;
use std::time::Duration;

use rke_host::udp::Step;
use rke_proto::RaidaIndex;
use rke_proto::round::Fault;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Domain;
use crate::model::viewer::{Page, Viewer};

/// The most watchers at one time.
pub const MAX_WATCHERS: usize = 32;

/// How many steps a watcher may lag behind: those of five exchanges.
const KEPT_STEPS: usize = 256;

/// An event for a watcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One RAIDA's part in an exchange.
    Share {
        domain: Domain,
        /// The page that requested the exchange, if one did.
        page: Option<Page>,
        raida: RaidaIndex,
        /// What it did.
        state: ShareState,
    },
    /// This watcher has missed steps.
    Missed,
}

/// The state of one RAIDA's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareState {
    /// It was asked, or asked again.
    Asked,
    /// Its share has arrived, after this time.
    Answered(Duration),
    /// It gave no share, or a wrong one.
    Failed(Fault),
}

/// Publishes the steps of exchanges.
pub struct Progress {
    steps: broadcast::Sender<Message>,
    seats: Arc<Semaphore>,
}

#[derive(Clone)]
enum Message {
    Event(Event),
    Closing,
}

/// A watcher's seat. Dropping it frees the seat.
pub struct Watch {
    steps: broadcast::Receiver<Message>,
    viewer: Viewer,
    _seat: OwnedSemaphorePermit,
}

impl Default for Progress {
    fn default() -> Self {
        let (steps, _) = broadcast::channel(KEPT_STEPS);
        Self { steps, seats: Arc::new(Semaphore::new(MAX_WATCHERS)) }
    }
}

impl Progress {
    /// Subscribes to the later steps that the viewer may see. `None` if all seats are taken.
    pub fn watch(&self, viewer: Viewer) -> Option<Watch> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Watch { steps: self.steps.subscribe(), viewer, _seat: seat })
    }

    /// Ends all watches.
    pub fn close(&self) {
        let _ = self.steps.send(Message::Closing);
    }

    /// Publishes a step of the round that collects shares for `domain`, and the page that requested it, if any.
    pub(crate) fn step(&self, domain: &Domain, page: Option<&Page>, step: Step) {
        let (raida, state) = match step {
            Step::Asked(raida) => (raida, ShareState::Asked),
            Step::Settled(raida, Ok(took)) => (raida, ShareState::Answered(took)),
            Step::Settled(raida, Err(fault)) => (raida, ShareState::Failed(fault)),
        };
        if self.steps.receiver_count() > 0 {
            let event = Event::Share { domain: domain.clone(), page: page.cloned(), raida, state };
            let _ = self.steps.send(Message::Event(event));
        }
    }
}

impl Watch {
    /// The next event. `None` after the last one.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.steps.recv().await {
                Ok(Message::Event(event)) if self.sees(&event) => return Some(event),
                Ok(Message::Event(_)) => (),
                Err(RecvError::Lagged(_)) => return Some(Event::Missed),
                Ok(Message::Closing) | Err(RecvError::Closed) => return None,
            }
        }
    }

    fn sees(&self, event: &Event) -> bool {
        match event {
            Event::Share { page, .. } => self.viewer.sees(page.as_ref()),
            Event::Missed => true,
        }
    }
}

#[cfg(test)]
mod tests;
