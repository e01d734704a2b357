//! A connection whose every answer is JSON. hyper answers a malformed request line, a target that
//! is far too long or headers that never end by itself, with an empty body: such an answer is
//! replaced on its way out by one in the documented form.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::failure::Failure;

/// A stream to a client, seen from the server.
pub(super) struct Connection {
    stream: TcpStream,
    /// What stands in for hyper's own answer, and how much of it is written.
    replacement: Vec<u8>,
    written: usize,
    unanswered: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, replacement: Vec::new(), written: 0, unanswered: false }
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
        StatusCode::URI_TOO_LONG => "The request's URI is over 48 KiB",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "The request has over 64 headers or over 16 KiB of them"
        }
        _ => "The request is not valid HTTP/1.1",
    };
    let body = Failure::new(status, message).to_json();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
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

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.unanswered |= buf.filled().len() > before;
        Poll::Ready(result)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        ready!(self.poll_replacement(cx))?;
        if let Some(status) = hypers_own(buf) {
            self.replacement = closing_answer(status);
            self.written = 0;
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
