//! A connection as hyper sees it. hyper answers a malformed request line, a target that is far too long
//! or headers that never end by itself, with an empty body: such an answer is replaced on its way out by one
//! in the documented form. hyper may be given a single request, and the connection taken back after it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::body_timeout::BodyTimeout;
use super::delivery::Refusable;
use super::headers;
use super::response_tracker::ResponseTracker;
use crate::http::api::failure::Failure;
use crate::http::gate::limits::{HEADERS_TOO_LARGE, URI_TOO_LONG};

/// What hyper is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// One request without a body, whose head was read. What follows it was not all read.
    Single,
    /// The same, and what follows it was read, at least in part.
    SingleOfSeveral,
    /// The connection, to its end.
    Connection,
}

/// A stream to a client, seen from the server.
pub(super) struct HyperIo<S> {
    stream: S,
    /// What was read before.
    lead: BytesMut,
    given: Given,
    /// What goes out before anything else, and how much of it is written.
    waiting: Vec<u8>,
    written: usize,
    unanswered: bool,
    body_timeout: BodyTimeout,
    /// Runs while the client takes nothing of what is to be written.
    stuck: Option<Pin<Box<Sleep>>>,
    tracker: ResponseTracker,
    taken_back: bool,
    /// Whether the client has closed its direction while it waited for an answer.
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
            taken_back: false,
            ended: false,
        }
    }

    /// Whether part of a request came in and nothing went out since.
    pub(super) fn has_unanswered_bytes(&self) -> bool {
        self.unanswered
    }

    /// The stream, if hyper has ended because it was taken back.
    pub(super) fn back(self) -> Result<S, Self> {
        if self.taken_back { Ok(self.stream) } else { Err(self) }
    }

    /// Whether a client that has closed its direction has said all, and waits. One that takes an answer without end
    /// has gone.
    fn may_read_on(&self, cx: &Context<'_>) -> bool {
        !self.body_timeout.follows_client() && self.tracker.lets_read_on(cx.waker())
    }

    /// Has a client that takes nothing for too long lose its connection.
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

    /// What hyper reads when its single request is done, or waits for an answer. `None` where it may read on.
    fn poll_single(&mut self) -> Option<Poll<io::Result<()>>> {
        if self.given == Given::Connection {
            return None;
        }
        if self.tracker.is_over() {
            // No bytes: for hyper that is a client which has gone in peace.
            self.taken_back = true;
            return Some(Poll::Ready(Ok(())));
        }
        // hyper looks whether the client is still there. The next request must not overtake one that was
        // read already; who has sent that is there.
        (self.given == Given::SingleOfSeveral).then_some(Poll::Pending)
    }
}

/// A whole answer that closes the connection.
pub(super) fn closing_answer(status: StatusCode) -> Vec<u8> {
    let message = match status {
        StatusCode::REQUEST_TIMEOUT => "The request did not arrive in time",
        StatusCode::URI_TOO_LONG => URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => HEADERS_TOO_LARGE,
        _ => "The request is not valid HTTP/1.1",
    };
    let body = Failure::new(status, message).to_json();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{}\r\n",
        body.len(),
        headers::lines()
    );
    [head.as_bytes(), &body].concat()
}

/// The status of an answer that hyper made by itself: it has no body, and none of ours is like it.
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
            // hyper has part of what follows, so the rest has to be its own too.
            self.given = Given::Connection;
            self.unanswered = true;
            self.body_timeout.renew();
            self.tracker.more_has_come();
        } else if result.is_ok() && self.may_read_on(cx) {
            // hyper would take that for a client that has gone. It looks again when it has answered.
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
        // While a body is under way, bytes that look like an answer of hyper's are a part of it.
        let first = if self.body_timeout.watches_body() { None } else { bufs.first() };
        if let Some(status) = first.and_then(|first| hypers_own(first)) {
            self.waiting.extend(closing_answer(status));
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
mod tests {
    use std::time::Duration;

    use axum::body::{Body, HttpBody};
    use axum::response::Response;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::http::gate::crowd::Crowd;

    const OWN: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    struct Pair {
        client: DuplexStream,
        server: HyperIo<DuplexStream>,
        body_timeout: BodyTimeout,
        tracker: ResponseTracker,
    }

    fn pair(lead: &str, given: Given) -> Pair {
        let (client, server) = duplex(10_000);
        let (body_timeout, tracker) =
            (BodyTimeout::new(Duration::from_secs(60)), ResponseTracker::new(Crowd::new(1).enter()));
        let server = HyperIo::new(server, lead.into(), given, body_timeout.clone(), tracker.clone());
        Pair { client, server, body_timeout, tracker }
    }

    /// All that the client gets.
    async fn got(mut pair: Pair) -> String {
        pair.server.shutdown().await.expect("shut");
        drop(pair.server);
        let mut got = String::new();
        pair.client.read_to_string(&mut got).await.expect("read");
        got
    }

    #[tokio::test]
    async fn hypers_own_answer_becomes_json() {
        let json = String::from_utf8(closing_answer(StatusCode::BAD_REQUEST)).expect("text");
        let ours = "HTTP/1.1 404 Not Found\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n{}";
        let without_body = "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
        for (written, expected) in [(OWN, json.as_str()), (ours, ours), (without_body, without_body)] {
            let mut pair = pair("", Given::Connection);
            pair.server.write_all(written.as_bytes()).await.expect("written");
            assert_eq!(got(pair).await, expected);
        }
    }

    #[tokio::test]
    async fn a_body_that_looks_like_one_is_left_alone() {
        let mut pair = pair("", Given::Connection);
        let _watch = pair.body_timeout.watch();
        pair.server.write_all(OWN.as_bytes()).await.expect("written");
        assert_eq!(got(pair).await, OWN);
    }

    /// What hyper reads now: `None` where it has to wait.
    async fn reads(server: &mut HyperIo<DuplexStream>) -> Option<String> {
        let mut bytes = vec![0; 100];
        let len = tokio::time::timeout(Duration::from_millis(20), server.read(&mut bytes)).await.ok()?;
        bytes.truncate(len.expect("read"));
        Some(String::from_utf8(bytes).expect("text"))
    }

    #[tokio::test]
    async fn it_is_taken_back_when_the_answer_has_ended_and_is_out() {
        for given in [Given::Single, Given::SingleOfSeveral] {
            let mut pair = pair("one", given);
            assert_eq!(reads(&mut pair.server).await.as_deref(), Some("one"));
            let answer = pair.tracker.follow(Response::new(Body::from("answer")));
            pair.server.flush().await.expect("flushed");
            assert_eq!(reads(&mut pair.server).await, None, "the answer has not ended");
            assert!(!answer.body().is_end_stream());
            drop(answer);
            assert_eq!(reads(&mut pair.server).await, None, "the answer is not out");
            pair.server.flush().await.expect("flushed");
            assert_eq!(reads(&mut pair.server).await.as_deref(), Some(""));
            assert!(pair.server.back().is_ok());
        }
    }

    #[tokio::test]
    async fn what_hyper_has_begun_to_read_it_keeps() {
        let mut pair = pair("one", Given::Single);
        assert_eq!(reads(&mut pair.server).await.as_deref(), Some("one"));
        let answer = pair.tracker.follow(Response::new(Body::empty()));
        pair.client.write_all(b"two").await.expect("written");
        assert_eq!(reads(&mut pair.server).await.as_deref(), Some("two"));
        drop(answer);
        pair.server.flush().await.expect("flushed");
        assert_eq!(reads(&mut pair.server).await, None);
        assert!(pair.server.back().is_err());
    }
}
