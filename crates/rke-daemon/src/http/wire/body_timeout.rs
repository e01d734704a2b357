//! How long a client may stand still: one that takes nothing of an answer, or neither sends nor takes a byte
//! while a body is under way, loses its connection, so that nobody holds one for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The time limit of one connection.
#[derive(Clone)]
pub(in crate::http) struct BodyTimeout(Arc<Inner>);

struct Inner {
    limit: Duration,
    /// Whether the client may take as long as it likes.
    endless: AtomicBool,
    /// Whether the answer ends when the client closes its direction.
    follows_client: AtomicBool,
    /// `None` while no body is under way.
    watched: Mutex<Option<Watched>>,
    begun: Notify,
}

#[derive(Clone, Copy)]
struct Watched {
    stage: Stage,
    last_byte: Instant,
    ending: bool,
}

/// How far a request is whose body is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Stage {
    /// Nothing of the answer is there yet.
    Asked,
    /// The answer has begun.
    Answered,
}

impl BodyTimeout {
    pub(in crate::http) fn new(limit: Duration) -> Self {
        let (endless, follows_client) = (AtomicBool::new(false), AtomicBool::new(false));
        let (watched, begun) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { limit, endless, follows_client, watched, begun }))
    }

    /// How long a client may take nothing of an answer. `None` for as long as it likes.
    pub(in crate::http) fn limit(&self) -> Option<Duration> {
        (!self.0.endless.load(Ordering::Relaxed)).then_some(self.0.limit)
    }

    /// From here on the connection is one to somebody else, who waits as long as both like.
    pub(in crate::http) fn have_no_end(&self) {
        self.0.endless.store(true, Ordering::Relaxed);
        self.follow_client();
    }

    /// From here on an answer goes out that has no end of its own: it ends with the client.
    pub(in crate::http) fn follow_client(&self) {
        self.0.follows_client.store(true, Ordering::Relaxed);
    }

    /// Whether such an answer goes out.
    pub(in crate::http) fn follows_client(&self) -> bool {
        self.0.follows_client.load(Ordering::Relaxed)
    }

    /// Says that a body is under way, until what this gives is dropped and the answer is out.
    pub(in crate::http) fn watch(&self) -> Watch {
        *self.lock() = Some(Watched { stage: Stage::Asked, last_byte: Instant::now(), ending: false });
        self.0.begun.notify_one();
        Watch(self.clone())
    }

    /// Whether a body is under way.
    pub(in crate::http) fn watches_body(&self) -> bool {
        self.limit().is_none() || self.lock().is_some()
    }

    /// A byte went one way or the other.
    pub(in crate::http) fn renew(&self) {
        if let Some(watched) = &mut *self.lock() {
            watched.last_byte = Instant::now();
        }
    }

    /// Nothing that was to be sent waits any more.
    pub(in crate::http) fn all_is_out(&self) {
        self.lock().take_if(|watched| watched.ending);
    }

    /// Waits until a body has stood still for too long, and says how far its request was.
    pub(in crate::http) async fn runs_out(&self) -> Stage {
        loop {
            let watched = *self.lock();
            match watched.map(|watched| (watched.stage, watched.last_byte + self.0.limit)) {
                Some((stage, end)) if end <= Instant::now() => return stage,
                Some((_, end)) => sleep_until(end).await,
                None => self.0.begun.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Watched>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is watched.
pub(in crate::http) struct Watch(BodyTimeout);

impl Watch {
    /// From here on there is an answer.
    pub(in crate::http) fn answered(&self) {
        if let Some(watched) = &mut *self.0.lock() {
            watched.stage = Stage::Answered;
        }
    }
}

impl Drop for Watch {
    /// What is left of the answer is watched until it is out.
    fn drop(&mut self) {
        if let Some(watched) = &mut *self.0.lock() {
            watched.stage = Stage::Answered;
            watched.ending = true;
        }
    }
}
