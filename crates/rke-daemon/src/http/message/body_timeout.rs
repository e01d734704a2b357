//! How long a client may stall. A client that takes nothing of a response, or neither sends nor takes a byte while
//! a body is in transit, loses its connection, so nobody holds one forever.

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
    /// Whether the response ends when the client closes its direction.
    follows_client: AtomicBool,
    /// `None` while no body is in transit.
    watched: Mutex<Option<Watched>>,
    begun: Notify,
}

#[derive(Clone, Copy)]
struct Watched {
    stage: Stage,
    last_byte: Instant,
    ending: bool,
}

/// The state of a request whose body is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Stage {
    /// No part of the response exists yet.
    Asked,
    /// The response has begun.
    Answered,
}

impl BodyTimeout {
    pub(in crate::http) fn new(limit: Duration) -> Self {
        let (endless, follows_client) = (AtomicBool::new(false), AtomicBool::new(false));
        let (watched, begun) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { limit, endless, follows_client, watched, begun }))
    }

    /// How long a client may take nothing of a response. `None` for as long as it likes.
    pub(in crate::http) fn limit(&self) -> Option<Duration> {
        (!self.0.endless.load(Ordering::Relaxed)).then_some(self.0.limit)
    }

    /// From now on the connection leads to another program, and either end may wait as long as it likes.
    pub(in crate::http) fn have_no_end(&self) {
        self.0.endless.store(true, Ordering::Relaxed);
        self.follow_client();
    }

    /// From now on the response has no end of its own: it ends with the client.
    pub(in crate::http) fn follow_client(&self) {
        self.0.follows_client.store(true, Ordering::Relaxed);
    }

    /// Whether the response ends with the client.
    pub(in crate::http) fn follows_client(&self) -> bool {
        self.0.follows_client.load(Ordering::Relaxed)
    }

    /// Marks a body as in transit until the returned guard is dropped and the response is sent.
    pub(in crate::http) fn watch(&self) -> Watch {
        *self.lock() = Some(Watched { stage: Stage::Asked, last_byte: Instant::now(), ending: false });
        self.0.begun.notify_one();
        Watch(self.clone())
    }

    /// Whether a body is in transit.
    pub(in crate::http) fn watches_body(&self) -> bool {
        self.limit().is_none() || self.lock().is_some()
    }

    /// Notes that a byte was sent or received.
    pub(in crate::http) fn renew(&self) {
        if let Some(watched) = &mut *self.lock() {
            watched.last_byte = Instant::now();
        }
    }

    /// Notes that all pending bytes are sent.
    pub(in crate::http) fn all_is_out(&self) {
        self.lock().take_if(|watched| watched.ending);
    }

    /// Waits until a body has stalled for too long. Returns the state of its request.
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

/// A guard that marks a body as in transit.
pub(in crate::http) struct Watch(BodyTimeout);

impl Watch {
    /// Notes that the response has begun.
    pub(in crate::http) fn answered(&self) {
        if let Some(watched) = &mut *self.0.lock() {
            watched.stage = Stage::Answered;
        }
    }
}

impl Drop for Watch {
    /// The rest of the response is watched until it is sent.
    fn drop(&mut self) {
        if let Some(watched) = &mut *self.0.lock() {
            watched.stage = Stage::Answered;
            watched.ending = true;
        }
    }
}
