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
use crate::model::viewer::{Page, Viewer};

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
        /// For which page, if one has asked.
        page: Option<Page>,
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
    /// A seat from which all steps from now on are seen that the viewer may see. `None` where all are taken.
    pub fn watch(&self, viewer: Viewer) -> Option<Watch> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Watch { steps: self.steps.subscribe(), viewer, _seat: seat })
    }

    /// Sends the watchers home.
    pub fn close(&self) {
        let _ = self.steps.send(Message::Closing);
    }

    /// Tells a step of the round that collects shares for `domain`, because a page, or no page, has asked.
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
    /// The next event. `None` where there will be none any more.
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
mod tests {
    use super::*;

    fn ask(progress: &Progress, page: Option<&Page>, raida: u8) {
        let domain = Domain::new("a.test").expect("a domain");
        progress.step(&domain, page, Step::Asked(RaidaIndex::new(raida).expect("an index")));
    }

    #[tokio::test]
    async fn who_is_slow_misses_steps_and_learns_it() {
        let progress = Progress::default();
        let mut watch = progress.watch(Viewer::Program).expect("a seat");
        for step in 0..KEPT_STEPS + 10 {
            ask(&progress, None, (step % 25) as u8);
        }
        assert_eq!(watch.next().await, Some(Event::Missed));
        let oldest = watch.next().await;
        assert!(
            matches!(&oldest, Some(Event::Share { raida, state: ShareState::Asked, .. }) if raida.get() == 10),
            "{oldest:?}"
        );
    }

    #[tokio::test]
    async fn a_page_is_told_of_its_own_exchanges() {
        let progress = Progress::default();
        let page = Page::new("http://localhost:3000");
        let mut watch = progress.watch(Viewer::Page(page.clone())).expect("a seat");
        let mut programs = progress.watch(Viewer::Program).expect("a seat");
        let mut of_null = progress.watch(Viewer::NullOrigin).expect("a seat");
        let asked = [None, Some(&page), Some(&Page::new("http://localhost:3001")), Some(&page)];
        asked.iter().zip(0..).for_each(|(page, raida)| ask(&progress, *page, raida));
        progress.close();
        let mut told = [Vec::new(), Vec::new(), Vec::new()];
        for (watch, told) in [&mut watch, &mut programs, &mut of_null].into_iter().zip(&mut told) {
            while let Some(Event::Share { raida, .. }) = watch.next().await {
                told.push(raida.get());
            }
        }
        assert_eq!(told, [vec![1, 3], vec![0, 1, 2, 3], vec![]]);
    }

    #[tokio::test]
    async fn seats_are_few_and_free_again_when_watchers_go() {
        let progress = Progress::default();
        let mut seats: Vec<Watch> = std::iter::from_fn(|| progress.watch(Viewer::Program)).collect();
        assert_eq!(seats.len(), MAX_WATCHERS);
        seats.pop();
        assert!(progress.watch(Viewer::Program).is_some());
        progress.close();
        assert_eq!(seats[0].next().await, None);
    }
}
