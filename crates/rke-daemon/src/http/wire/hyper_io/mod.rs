//! A connection as hyper sees it. hyper itself responds to a malformed request line, a target that is far too long
//! or endless headers, with an empty body. Such a response is replaced by one in the documented form as it is sent.
//! hyper may get a single request only, and then the connection is taken back after it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::delivery::Refusable;
use super::response_tracker::ResponseTracker;
use crate::http::gate::limits::{HEADERS_TOO_LARGE, URI_TOO_LONG};
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::{Failure, TOO_LATE};
use crate::http::message::headers;
use crate::http::telemetry::observe::Observer;

/// The part of a connection that hyper gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// One request without a body, whose head was read. Nothing after it was read.
    Single,
    /// The same, and at least part of what follows it was read.
    SingleOfSeveral,
    /// The connection until its end.
    Connection,
}

/// The server's side of a stream to a client.
pub(super) struct HyperIo<S> {
    stream: S,
    /// Bytes that were read earlier.
    lead: BytesMut,
    given: Given,
    /// Bytes to send before anything else, and how many of them are written.
    waiting: Vec<u8>,
    written: usize,
    unanswered: bool,
    body_timeout: BodyTimeout,
    /// Runs while the client takes none of the bytes to be written.
    stuck: Option<Pin<Box<Sleep>>>,
    tracker: ResponseTracker,
    observer: Arc<Observer>,
    taken_back: bool,
    /// Whether the client has closed its direction while it waited for a response.
    ended: bool,
}

impl<S: Refusable> HyperIo<S> {
    /// Whether the client has refused what was written to it.
    pub(super) fn is_refused(&self) -> bool {
        self.stream.is_refused()
    }
}

impl<S: AsyncWrite + Unpin> HyperIo<S> {
    pub(super) fn new(
        stream: S,
        lead: BytesMut,
        given: Given,
        body_timeout: BodyTimeout,
        tracker: ResponseTracker,
        observer: Arc<Observer>,
    ) -> Self {
        Self {
            stream,
            lead,
            given,
            waiting: Vec::new(),
            written: 0,
            unanswered: false,
            body_timeout,
            stuck: None,
            tracker,
            observer,
            taken_back: false,
            ended: false,
        }
    }

    /// Whether part of a request arrived and nothing was sent since.
    pub(super) fn has_unanswered_bytes(&self) -> bool {
        self.unanswered
    }

    /// The stream, if hyper has ended because the connection was taken back.
    pub(super) fn back(self) -> Result<S, Self> {
        if self.taken_back { Ok(self.stream) } else { Err(self) }
    }

    /// Whether a client that has closed its direction has sent everything and waits. A client of an endless
    /// response has gone instead.
    fn may_read_on(&self, cx: &Context<'_>) -> bool {
        !self.body_timeout.follows_client() && self.tracker.lets_read_on(cx.waker())
    }

    /// Ends the connection of a client that takes nothing for too long.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let limit = match (&written, self.body_timeout.limit()) {
            (Poll::Pending, Some(limit)) => limit,
            _ => {
                self.stuck = None;
                return written;
            }
        };
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let rest = &self.waiting[self.written..];
            let written = Pin::new(&mut self.stream).poll_write(cx, rest);
            match ready!(self.bounded(cx, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        self.waiting.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// The result of hyper's read while its single request waits for a response or is done. `None` if it may read
    /// from the stream.
    fn poll_single(&mut self) -> Option<Poll<io::Result<()>>> {
        if self.given == Given::Connection {
            return None;
        }
        if self.tracker.is_over() {
            // To hyper, zero bytes mean that the client has closed the connection properly.
            self.taken_back = true;
            return Some(Poll::Ready(Ok(())));
        }
        // hyper checks whether the client is still there. The next request must not overtake one that was already
        // read, and a client that has sent that one is still there.
        (self.given == Given::SingleOfSeveral).then_some(Poll::Pending)
    }
}

/// A complete response to a request that could not be read, which is noted. It closes the connection.
pub(super) fn closing_answer(status: StatusCode, observer: &Observer) -> Vec<u8> {
    let message = match status {
        StatusCode::REQUEST_TIMEOUT => TOO_LATE,
        StatusCode::URI_TOO_LONG => URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => HEADERS_TOO_LARGE,
        _ => "The request is not valid HTTP/1.1",
    };
    let body = Failure::new(status, message).to_json();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{}x-request-id: {}\r\n\r\n",
        body.len(),
        headers::lines(),
        observer.unreadable(status).as_str()
    );
    [head.as_bytes(), &body].concat()
}

/// The status of a response that hyper made by itself. It has no body, and no response of the daemon looks like it.
fn hypers_own(bytes: &[u8]) -> Option<StatusCode> {
    let code = bytes.strip_prefix(b"HTTP/1.1 4").or_else(|| bytes.strip_prefix(b"HTTP/1.0 4"))?;
    let code = std::str::from_utf8(code.get(..2)?).ok()?.parse::<u16>().ok()?;
    let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    (contains(b"content-length: 0\r\n") && !contains(b"content-type:"))
        .then(|| StatusCode::from_u16(400 + code).ok())
        .flatten()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HyperIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.lead.is_empty() {
            let len = self.lead.len().min(buf.remaining());
            buf.put_slice(&self.lead[..len]);
            self.lead.advance(len);
            self.unanswered = true;
            return Poll::Ready(Ok(()));
        }
        if let Some(read) = self.poll_single() {
            return read;
        }
        if self.ended && self.may_read_on(cx) {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            // hyper has part of what follows, so it must get the rest too.
            self.given = Given::Connection;
            self.unanswered = true;
            self.body_timeout.renew();
            self.tracker.more_has_come();
        } else if result.is_ok() && self.may_read_on(cx) {
            // hyper would conclude that the client has gone. It reads again after the response.
            self.ended = true;
            return Poll::Pending;
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HyperIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        // While a body is in transit, bytes that look like a response of hyper's belong to the body.
        let first = if self.body_timeout.watches_body() { None } else { bufs.first() };
        if let Some(status) = first.and_then(|first| hypers_own(first)) {
            let answer = closing_answer(status, &self.observer);
            self.waiting.extend(answer);
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        ready!(self.poll_waiting(cx))?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        let written = ready!(self.bounded(cx, written));
        self.body_timeout.renew();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.bounded(cx, flushed))?;
        self.body_timeout.all_is_out();
        self.tracker.all_is_out();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
