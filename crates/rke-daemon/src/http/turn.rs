//! When hyper is done with a request: the answer has ended, and all of it is out. Then the connection can
//! be taken back from it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const OUT: u8 = 2;

/// The turn of one request.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

impl Turn {
    /// The answer, which tells when it has ended.
    pub(super) fn follow(&self, answer: Response) -> Response {
        self.0.store(RUNNING, Ordering::Relaxed);
        answer.map(|body| Body::new(Followed { body, turn: self.clone() }))
    }

    /// Nothing that was to be sent waits any more.
    pub(super) fn all_is_out(&self) {
        let _ = self.0.compare_exchange(ENDED, OUT, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the answer has ended and is out.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OUT
    }
}

/// A body that says when it is dropped, which is when hyper has taken the last of it.
struct Followed {
    body: Body,
    turn: Turn,
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
        self.turn.0.store(ENDED, Ordering::Relaxed);
    }
}
