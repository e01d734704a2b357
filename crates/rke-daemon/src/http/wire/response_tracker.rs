//! Tracks hyper's progress with a request. Once the response has ended and is sent completely, the connection can
//! be taken back. Until then the client may close its direction and keep reading, unless the rest of a body is
//! needed from it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::response::Response;
use futures_util::task::AtomicWaker;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::http::gate::crowd::Place;

const RUNNING: u8 = 1;
const ENDED: u8 = 2;
const OUT: u8 = 3;

/// The response to one request, and its state.
#[derive(Clone)]
pub(super) struct ResponseTracker(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    answer: AtomicU8,
    /// Whether somebody waits for more of the request's body.
    wants_more: AtomicBool,
    /// Wakes the connection that hides the client's end from hyper.
    held_back: AtomicWaker,
}

impl ResponseTracker {
    /// Tracks a connection at this place, which is busy until its response is sent.
    pub(super) fn new(place: Arc<Place>) -> Self {
        let (answer, wants_more, held_back) = (AtomicU8::new(0), AtomicBool::new(false), AtomicWaker::new());
        Self(Arc::new(Inner { place, answer, wants_more, held_back }))
    }

    /// The request, with a body that records when hyper needs more of it.
    pub(super) fn follow_request<B>(&self, request: Request<B>) -> Request<Heard<B>> {
        self.0.answer.store(RUNNING, Ordering::Relaxed);
        self.0.place.is_busy();
        request.map(|body| Heard { body, tracker: self.clone() })
    }

    /// The response, with a body that records its end.
    pub(super) fn follow(&self, answer: Response) -> Response {
        self.0.answer.store(RUNNING, Ordering::Relaxed);
        answer.map(|body| Body::new(Followed { body, tracker: self.clone() }))
    }

    /// Notes that all pending bytes are sent.
    pub(super) fn all_is_out(&self) {
        let out = self.0.answer.compare_exchange(ENDED, OUT, Ordering::Relaxed, Ordering::Relaxed);
        if out.is_ok() {
            self.0.place.is_idle_since(Instant::now());
        }
    }

    /// Whether the response has ended and is sent.
    pub(super) fn is_over(&self) -> bool {
        self.0.answer.load(Ordering::Relaxed) == OUT
    }

    /// Notes that more of the request has arrived.
    pub(super) fn more_has_come(&self) {
        self.0.wants_more.store(false, Ordering::Relaxed);
    }

    /// Whether the client may close its direction: a request exists, its response is not completely sent, and no
    /// more of its body is needed. `waker` is woken when that changes.
    pub(super) fn lets_read_on(&self, waker: &Waker) -> bool {
        self.0.held_back.register(waker);
        let is_running = matches!(self.0.answer.load(Ordering::Relaxed), RUNNING | ENDED);
        is_running && !self.0.wants_more.load(Ordering::Relaxed)
    }
}

/// A request's body that records when more of it is needed.
pub(super) struct Heard<B> {
    body: B,
    tracker: ResponseTracker,
}

impl<B: HttpBody + Unpin> HttpBody for Heard<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() {
            self.tracker.0.wants_more.store(true, Ordering::Relaxed);
            self.tracker.0.held_back.wake();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that records when it is dropped, which is when hyper has taken the last of it.
struct Followed {
    body: Body,
    tracker: ResponseTracker,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.tracker.0.answer.store(ENDED, Ordering::Relaxed);
    }
}
