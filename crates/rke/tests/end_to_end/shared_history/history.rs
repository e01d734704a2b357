//! What clients have done and seen, and what was disturbed meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time since the history began.
pub(super) type At = Duration;

/// Which process a request went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Daemon(usize),
    Server(usize),
}

/// Sessions are named as clients name them.
pub(super) type Id = Arc<str>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The id, if the session was opened.
    Create(Option<Id>),
    /// Encrypt, decrypt, show or renew at a daemon, or encrypt at a Content Server.
    Use(Id),
    /// Whether the Content Server has proven that it has wiped the key, too.
    Delete(Id, IsForgotten),
    DeleteAll,
    /// How many sessions there are.
    Count(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsForgotten {
    Yes,
    NotProven,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    NotFound,
    /// A limit. Nothing was done.
    Refused,
    /// "Try again". It may have been done.
    Unavailable(String),
    /// The connection was lost. It may have been done.
    NoResponse,
    /// A response that no client should see.
    Strange(String),
}

/// A request and its response.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) place: Place,
    pub(super) what: What,
    pub(super) begin: At,
    pub(super) end: At,
    pub(super) outcome: Outcome,
}

/// What is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The store cannot be reached.
    StoreAway,
    /// The same, and another primary takes over: all sessions end.
    NewPrimary,
    /// One daemon is stopped, dead or cut off.
    Daemon(usize),
}

/// A disturbance and how long it lasted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disturbance {
    pub(super) trouble: Trouble,
    pub(super) begin: At,
    pub(super) end: At,
}

/// What a checker looks at.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) events: Vec<Event>,
    pub(super) disturbances: Vec<Disturbance>,
}

/// A record that grows.
pub(super) struct History {
    start: Instant,
    record: Mutex<Record>,
    is_over: AtomicBool,
}

impl History {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), record: Mutex::default(), is_over: AtomicBool::new(false) }
    }

    pub(super) fn now(&self) -> At {
        self.start.elapsed()
    }

    /// Notes a request that ends now.
    pub(super) fn note(&self, place: Place, what: What, begin: At, outcome: Outcome) {
        let end = self.now();
        self.lock().events.push(Event { place, what, begin, end, outcome });
    }

    /// Notes that this was disturbed from then until now.
    pub(super) fn disturbed(&self, trouble: Trouble, begin: At) {
        let end = self.now();
        self.lock().disturbances.push(Disturbance { trouble, begin, end });
    }

    /// How many requests of a kind have succeeded since then.
    pub(super) fn count(&self, since: At, is_meant: impl Fn(&What) -> bool) -> usize {
        let done = |event: &&Event| event.begin >= since && event.outcome == Outcome::Done;
        self.lock().events.iter().filter(done).filter(|event| is_meant(&event.what)).count()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Clients end after the request that they wait for.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn record(&self) -> Record {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
