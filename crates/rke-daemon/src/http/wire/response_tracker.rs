//! How far hyper is with a request. When the answer has ended and all of it is out, the connection can be taken back.
//! Until then the client may have closed its direction, and read on: unless the rest of a body is wanted from it.

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

/// The response to one request, and how far it is.
#[derive(Clone)]
pub(super) struct ResponseTracker(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    answer: AtomicU8,
    /// Whether somebody waits for more of the request's body.
    wants_more: AtomicBool,
    /// The connection that holds back its end.
    held_back: AtomicWaker,
}

impl ResponseTracker {
    /// Of a connection at this place, which is busy until its response is out.
    pub(super) fn new(place: Arc<Place>) -> Self {
        let (answer, wants_more, held_back) = (AtomicU8::new(0), AtomicBool::new(false), AtomicWaker::new());
        Self(Arc::new(Inner { place, answer, wants_more, held_back }))
    }

    /// The request, which tells when more of it is wanted.
    pub(super) fn hear<B>(&self, request: Request<B>) -> Request<Heard<B>> {
        self.0.answer.store(RUNNING, Ordering::Relaxed);
        self.0.place.is_busy();
        request.map(|body| Heard { body, tracker: self.clone() })
    }

    /// The answer, which tells when it has ended.
    pub(super) fn follow(&self, answer: Response) -> Response {
        self.0.answer.store(RUNNING, Ordering::Relaxed);
        answer.map(|body| Body::new(Followed { body, tracker: self.clone() }))
    }

    /// Nothing that was to be sent waits any more.
    pub(super) fn all_is_out(&self) {
        let out = self.0.answer.compare_exchange(ENDED, OUT, Ordering::Relaxed, Ordering::Relaxed);
        if out.is_ok() {
            self.0.place.is_idle_since(Instant::now());
        }
    }

    /// Whether the answer has ended and is out.
    pub(super) fn is_over(&self) -> bool {
        self.0.answer.load(Ordering::Relaxed) == OUT
    }

    /// More of the request has come.
    pub(super) fn more_has_come(&self) {
        self.0.wants_more.store(false, Ordering::Relaxed);
    }

    /// Whether the client may close its direction: there is a request, not all of the answer is out, and no more is wanted.
    /// Where that changes, `waker` is woken.
    pub(super) fn lets_read_on(&self, waker: &Waker) -> bool {
        self.0.held_back.register(waker);
        let is_running = matches!(self.0.answer.load(Ordering::Relaxed), RUNNING | ENDED);
        is_running && !self.0.wants_more.load(Ordering::Relaxed)
    }
}

/// A request's body that says when more of it is wanted.
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

/// A body that says when it is dropped, which is when hyper has taken the last of it.
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
