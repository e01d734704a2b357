//! How long a client may stall. A client that takes nothing of a response, or neither sends nor takes a byte while
//! a body is in transit, loses its connection, so nobody holds one forever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Extensions;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;

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
    /// Whether the response has begun. Before that, [`Watch::in_time`] makes it an error.
    answered: bool,
    last_byte: Instant,
    ending: bool,
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

    /// Marks a request's body as in transit until the returned guard is dropped and the response is sent.
    pub(in crate::http) fn watch(request: &Extensions) -> Watch {
        let timeout = request.get().cloned();
        if let Some(Self(inner)) = &timeout {
            let last_byte = Instant::now();
            *inner.lock() = Some(Watched { answered: false, last_byte, ending: false });
        }
        Watch(timeout)
    }

    /// Whether a body is in transit.
    pub(in crate::http) fn watches_body(&self) -> bool {
        self.limit().is_none() || self.0.lock().is_some()
    }

    /// Notes that a byte was sent or received.
    pub(in crate::http) fn renew(&self) {
        if let Some(watched) = &mut *self.0.lock() {
            watched.last_byte = Instant::now();
        }
    }

    /// Notes that all pending bytes are sent.
    pub(in crate::http) fn all_is_out(&self) {
        self.0.lock().take_if(|watched| watched.ending);
    }

    /// Waits until a client has stalled for too long in the middle of a response.
    pub(in crate::http) async fn runs_out(&self) {
        loop {
            match self.end_of(|watched| watched.answered) {
                Some(end) if end <= Instant::now() => return,
                Some(end) => sleep_until(end).await,
                None => self.0.begun.notified().await,
            }
        }
    }

    /// When the client will have stalled for too long, if such a body is in transit.
    fn end_of(&self, is_meant: impl Fn(&Watched) -> bool) -> Option<Instant> {
        self.0.lock().filter(is_meant).map(|watched| watched.last_byte + self.0.limit)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Option<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard that marks a body as in transit. It watches nothing where no connection is: in tests of handlers.
pub(in crate::http) struct Watch(Option<BodyTimeout>);

impl Watch {
    /// The result of reading the body before the response begins.
    ///
    /// # Errors
    /// 408 if the client stalls for too long meanwhile.
    pub(in crate::http) async fn in_time<T>(&self, reading: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            read = reading => Ok(read),
            () = self.runs_out() => Err(Failure::too_late()),
        }
    }

    async fn runs_out(&self) {
        while let Some(end) = self.0.as_ref().and_then(|timeout| timeout.end_of(|_| true)) {
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
        std::future::pending().await
    }

    /// Notes that the response has begun. The client gets the full time for it.
    pub(in crate::http) fn answered(&self) {
        if let Some(BodyTimeout(inner)) = &self.0
            && let Some(watched) = &mut *inner.lock()
        {
            (watched.answered, watched.last_byte) = (true, Instant::now());
            inner.begun.notify_one();
        }
    }
}

impl Drop for Watch {
    /// The rest of a response that has begun is watched until it is sent. Before that, it is the daemon that takes its time
    /// from now on.
    fn drop(&mut self) {
        if let Some(BodyTimeout(inner)) = &self.0 {
            let mut watched = inner.lock();
            *watched =
                watched.filter(|watched| watched.answered).map(|watched| Watched { ending: true, ..watched });
        }
    }
}
