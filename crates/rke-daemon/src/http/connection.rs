//! A connection whose every answer is JSON. hyper answers a malformed request line, a target that
//! is far too long or headers that never end by itself, with an empty body: such an answer is
//! replaced on its way out by one in the documented form.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::failure::Failure;
use super::headers::{ALWAYS, CONTENT_POLICY};
use super::limits::{HEADERS_TOO_LARGE, URI_TOO_LONG};
use super::patience::Patience;

/// A stream to a client, seen from the server.
pub(super) struct Connection<S> {
    stream: S,
    /// What stands in for hyper's own answer, and how much of it is written.
    replacement: Vec<u8>,
    written: usize,
    unanswered: bool,
    patience: Patience,
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, patience: Patience) -> Self {
        Self { stream, replacement: Vec::new(), written: 0, unanswered: false, patience }
    }

    /// Whether part of a request came in and nothing went out since.
    pub(super) fn has_unanswered_bytes(&self) -> bool {
        self.unanswered
    }

    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.replacement.len() {
            let rest = &self.replacement[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.written += len,
            }
        }
        Poll::Ready(Ok(()))
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

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
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
        ready!(self.poll_replacement(cx))?;
        if let Some(status) = hypers_own(buf) {
            self.replacement = closing_answer(status);
            self.written = 0;
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.patience.renew();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.patience.all_is_out();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
