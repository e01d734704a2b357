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

/// More than an answer has that hyper makes by itself.
const OWN_ANSWER_LEN: usize = 512;

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

/// Where in what hyper writes an answer begins that it made by itself, and its status. Such an answer comes
/// last, has no body, and none of ours is like it.
fn hypers_own(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let end = bytes.len().saturating_sub(OWN_ANSWER_LEN);
    let at = end + bytes[end..].windows(7).rposition(|window| window == b"HTTP/1.")?;
    let answer = &bytes[at..];
    let code = answer.strip_prefix(b"HTTP/1.1 4").or_else(|| answer.strip_prefix(b"HTTP/1.0 4"))?;
    let code = std::str::from_utf8(code.get(..2)?).ok()?.parse::<u16>().ok()?;
    let contains = |text: &[u8]| answer.windows(text.len()).any(|window| window == text);
    let is_own = contains(b"content-length: 0\r\n") && !contains(b"content-type:");
    is_own.then(|| StatusCode::from_u16(400 + code).ok().map(|status| (at, status))).flatten()
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
        // While a body is under way, bytes that look like an answer are a part of it.
        let own = if self.patience.watches_body() { None } else { hypers_own(buf) };
        let before = match own {
            Some((0, status)) => {
                self.replacement = closing_answer(status);
                self.written = 0;
                return Poll::Ready(Ok(buf.len()));
            }
            Some((at, _)) => &buf[..at],
            None => buf,
        };
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, before));
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const OWN: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    /// What the client gets where the server writes `text`.
    async fn sent(text: &str, patience: Patience) -> String {
        let (client, server) = tokio::io::duplex(10_000);
        let mut connection = Connection::new(server, patience);
        connection.write_all(text.as_bytes()).await.expect("written");
        connection.shutdown().await.expect("shut");
        drop(connection);
        let mut got = String::new();
        tokio::io::BufReader::new(client).read_to_string(&mut got).await.expect("read");
        got
    }

    fn patience() -> Patience {
        Patience::new(Duration::from_secs(60))
    }

    #[tokio::test]
    async fn hypers_own_answer_becomes_json_wherever_it_comes() {
        let json = String::from_utf8(closing_answer(StatusCode::BAD_REQUEST)).expect("text");
        assert_eq!(sent(OWN, patience()).await, json);
        let ours = "HTTP/1.1 404 Not Found\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(sent(&format!("{ours}{OWN}"), patience()).await, format!("{ours}{json}"));
        let to_head = "HTTP/1.1 404 Not Found\r\ncontent-type: a/b\r\ncontent-length: 0\r\n\r\n";
        for other in [ours, to_head, "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"] {
            assert_eq!(sent(other, patience()).await, other);
        }
    }

    #[tokio::test]
    async fn a_body_that_looks_like_one_is_left_alone() {
        let patience = patience();
        let _watch = patience.watch();
        assert_eq!(sent(OWN, patience.clone()).await, OWN);
    }
}
