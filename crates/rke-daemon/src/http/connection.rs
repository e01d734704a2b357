//! A connection whose every answer is JSON. hyper answers a malformed request line, a target that
//! is far too long or headers that never end by itself, with an empty body: such an answer is
//! replaced on its way out by one in the documented form. Short answers to requests that came together
//! leave together.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::failure::Failure;
use super::headers::{ALWAYS, CONTENT_POLICY};
use super::limits::{HEADERS_TOO_LARGE, URI_TOO_LONG};
use super::patience::Patience;
use super::pipeline::Pipeline;

/// How much of answers may wait for each other.
const MOST_WAITING: usize = 64 * 1024;

/// A stream to a client, seen from the server.
pub(super) struct Connection<S> {
    stream: S,
    /// What goes out before anything else, and how much of it is written.
    waiting: Vec<u8>,
    written: usize,
    unanswered: bool,
    patience: Patience,
    pipeline: Pipeline,
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, patience: Patience, pipeline: Pipeline) -> Self {
        Self { stream, waiting: Vec::new(), written: 0, unanswered: false, patience, pipeline }
    }

    /// Whether part of a request came in and nothing went out since.
    pub(super) fn has_unanswered_bytes(&self) -> bool {
        self.unanswered
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let rest = &self.waiting[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        self.waiting.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Whether an answer may wait for the next.
    fn may_wait(&self, buf: &[u8]) -> bool {
        self.pipeline.is_whole() && self.waiting.len() + buf.len() <= MOST_WAITING
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
    let mut head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in ALWAYS.into_iter().chain([CONTENT_POLICY]) {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", &body].concat()
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper has no further request at hand: who waits for an answer gets it.
        ready!(self.poll_waiting(cx))?;
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.unanswered = true;
            self.patience.renew();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        // While a body is under way, bytes that look like an answer of hyper's are a part of it.
        let own = if self.patience.watches_body() { None } else { hypers_own(buf) };
        if let Some(status) = own {
            self.waiting.extend(closing_answer(status));
            return Poll::Ready(Ok(buf.len()));
        }
        if self.may_wait(buf) {
            self.waiting.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(self.poll_waiting(cx))?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.patience.renew();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // After a whole answer hyper looks for the next request, and asks for bytes when it finds none.
        if self.pipeline.take_whole() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_waiting(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.patience.all_is_out();
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

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const OWN: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    struct Pair {
        client: DuplexStream,
        server: Connection<DuplexStream>,
        patience: Patience,
        pipeline: Pipeline,
    }

    fn pair() -> Pair {
        let (client, server) = duplex(10_000);
        let (patience, pipeline) = (Patience::new(Duration::from_secs(60)), Pipeline::default());
        let server = Connection::new(server, patience.clone(), pipeline.clone());
        Pair { client, server, patience, pipeline }
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
            let mut pair = pair();
            pair.server.write_all(written.as_bytes()).await.expect("written");
            assert_eq!(got(pair).await, expected);
        }
    }

    #[tokio::test]
    async fn a_body_that_looks_like_one_is_left_alone() {
        let mut pair = pair();
        let _watch = pair.patience.watch();
        pair.server.write_all(OWN.as_bytes()).await.expect("written");
        assert_eq!(got(pair).await, OWN);
    }

    #[tokio::test]
    async fn whole_answers_wait_until_bytes_are_asked_for_and_others_do_not() {
        let mut pair = pair();
        let mut buffer = [0; 100];
        for answer in ["one ", "two "] {
            pair.pipeline.answer_is_whole();
            pair.server.write_all(answer.as_bytes()).await.expect("written");
            pair.server.flush().await.expect("flushed");
            let early = tokio::time::timeout(Duration::from_millis(20), pair.client.read(&mut buffer)).await;
            assert!(early.is_err(), "{answer} did not wait");
        }
        let asks = tokio::time::timeout(Duration::from_millis(20), pair.server.read(&mut buffer)).await;
        assert!(asks.is_err() && pair.client.read(&mut buffer).await.expect("read") == 8);
        pair.server.write_all(b"three").await.expect("written");
        pair.server.flush().await.expect("flushed");
        assert_eq!(pair.client.read(&mut buffer).await.expect("read"), 5);
    }
}
