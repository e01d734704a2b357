//! The head of the next request on a connection, told by httparse: a frequent one is taken apart here,
//! any other is hyper's, with all that hyper does about bodies and about what is not well formed.

use std::io;
use std::mem::MaybeUninit;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use bytes::{Buf, BytesMut};
use httparse::{Header, Status};
use memchr::{memchr, memchr_iter, memchr3};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::query::Query;

/// More headers than a frequent request has; hyper looks at those that bring more.
const MAX_HEADERS: usize = 32;

/// A head that is longer, and not at its end, is hyper's, which refuses it when it is far too long.
const MAX_LEN: usize = 64 * 1024;

/// Room for what is read at one time.
const READ_LEN: usize = 8 * 1024;

/// Requests that come by the thousand. All are GET, without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frequent {
    Delete,
    Encrypt,
    Decrypt,
}

impl Frequent {
    fn of(method: &str, path: &str) -> Option<Self> {
        let all = [Self::Delete, Self::Encrypt, Self::Decrypt];
        all.into_iter().find(|call| method == "GET" && path == call.path())
    }

    /// Whether it is answered at once, whatever its parameters: a deletion may have to look through memory, or
    /// to remove a file.
    pub(super) fn is_quick(self, query: &Query) -> bool {
        self != Self::Delete || !query.has_several()
    }

    /// Where the router has it too.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Delete => "/api/rke/session/delete",
            Self::Encrypt => "/api/rke/encrypt",
            Self::Decrypt => "/api/rke/decrypt",
        }
    }
}

/// What comes next on a connection.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the frequent one, and it is moved once")]
pub(super) enum Next {
    /// A frequent request, whole, with its query in place of a body.
    Frequent(Frequent, Request<Query>),
    /// The whole of another request, which has no body. More requests may follow it.
    Single(BytesMut),
    /// Anything else: from here on the connection is hyper's.
    Open(BytesMut),
    /// Not even a whole head yet.
    Unfinished,
}

/// Bytes that were read from a connection, and nobody has looked at but for heads.
#[derive(Default)]
pub(super) struct Unread {
    bytes: BytesMut,
    /// How many of them were there when a head was looked for last, and not found.
    looked_at: usize,
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all that there is.
    pub(super) fn take(&mut self) -> BytesMut {
        self.looked_at = 0;
        self.bytes.split()
    }

    /// Reads more. Says how much came.
    pub(super) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.bytes.reserve(READ_LEN);
        stream.read_buf(&mut self.bytes).await
    }

    /// Takes what comes next.
    pub(super) fn next(&mut self) -> Next {
        // A head that comes byte by byte is not parsed as often.
        if self.looked_at > 0 && !ends_a_head(&self.bytes[self.looked_at.saturating_sub(3)..]) {
            return self.unfinished();
        }
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(&self.bytes, &mut headers) {
            Ok(Status::Partial) => self.unfinished(),
            Ok(Status::Complete(len)) if parsed.version == Some(1) && parsed.headers.iter().all(is_plain) => {
                let frequent = frequent(&parsed);
                self.looked_at = 0;
                match frequent {
                    Some((call, request)) => {
                        self.bytes.advance(len);
                        Next::Frequent(call, request)
                    }
                    None => Next::Single(self.bytes.split_to(len)),
                }
            }
            _ => Next::Open(self.take()),
        }
    }

    fn unfinished(&mut self) -> Next {
        self.looked_at = self.bytes.len();
        if self.bytes.len() > MAX_LEN { Next::Open(self.take()) } else { Next::Unfinished }
    }
}

/// Whether there is an empty line.
fn ends_a_head(bytes: &[u8]) -> bool {
    memchr_iter(b'\n', bytes).any(|at| matches!(&bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Whether a header leaves the request where its head ends, and the connection as it is.
fn is_plain(header: &Header<'_>) -> bool {
    let is = |name: &str| header.name.eq_ignore_ascii_case(name);
    match header.name.len() {
        10 if is("connection") => header.value.eq_ignore_ascii_case(b"keep-alive"),
        6 => !is("expect"),
        7 => !is("upgrade"),
        14 => !is("content-length"),
        17 => !is("transfer-encoding"),
        _ => true,
    }
}

/// A frequent request. `None` for another one, and where hyper would find something wrong with it.
fn frequent(parsed: &httparse::Request<'_, '_>) -> Option<(Frequent, Request<Query>)> {
    let (path, query) = parsed.path?.split_once('?').unwrap_or((parsed.path?, ""));
    let call = Frequent::of(parsed.method?, path)?;
    let bytes = query.as_bytes();
    // What httparse lets pass and a URI cannot have.
    if memchr3(b'"', b'<', b'>', bytes).or_else(|| memchr(b'#', bytes)).is_some() {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for Header { name, value } in parsed.headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(value).ok()?);
    }
    let mut request = Request::new(Query::new(query));
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from_static(call.path());
    *request.headers_mut() = headers;
    Some((call, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELETION: &str = "GET /api/rke/session/delete?session_id=ab HTTP/1.1\r\nHost: localhost\r\n";

    fn unread(text: &str) -> Unread {
        Unread { bytes: text.into(), looked_at: 0 }
    }

    #[test]
    fn frequent_requests_are_taken_one_by_one() {
        let headers = "Connection: Keep-Alive\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n";
        let mut bytes = unread(&format!("{DELETION}{headers}GET /api/rke/encrypt HTTP/1.1\r\n\r\nGET /ap"));
        let Next::Frequent(Frequent::Delete, request) = bytes.next() else { panic!("no deletion") };
        assert_eq!(request.uri(), "/api/rke/session/delete");
        assert_eq!(request.body(), &Query::new("session_id=ab"));
        assert_eq!(request.headers()["host"], "localhost");
        assert_eq!(request.headers().get_all("x-two").iter().count(), 2);
        assert!(matches!(bytes.next(), Next::Frequent(Frequent::Encrypt, _)));
        assert!(matches!(bytes.next(), Next::Unfinished) && bytes.bytes == "GET /ap");
    }

    #[test]
    fn other_requests_go_alone_when_they_have_no_body() {
        let first = "HEAD /api/rke/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut bytes = unread(&format!("{first}{DELETION}\r\n"));
        assert!(matches!(bytes.next(), Next::Single(head) if head == first));
        assert!(matches!(bytes.next(), Next::Frequent(Frequent::Delete, _)));
        for not_in_a_uri in ["\"", "<", ">", "#"] {
            let text = DELETION.replace("=ab", not_in_a_uri) + "\r\n";
            assert!(matches!(unread(&text).next(), Next::Single(head) if head == text), "{text}");
        }
    }

    #[test]
    fn what_may_have_a_body_or_is_not_well_formed_takes_the_connection_along() {
        let with = |header: &str| format!("{DELETION}{header}\r\n\r\n");
        for text in [
            with("Content-Length: 3") + "abc",
            with("content-length: 0"),
            with("TRANSFER-ENCODING: chunked"),
            with("Expect: 100-continue"),
            with("Upgrade: websocket"),
            with("Connection: close"),
            with("Connection: keep-alive, upgrade"),
            with("Bad Name: x"),
            DELETION.replace("1.1", "1.0") + "\r\n",
            DELETION.replace("1.1", "2.0") + "\r\n",
            DELETION.replace("=ab", "=\u{7f}") + "\r\n",
            "GET http://localhost/api/rke/encrypt HTTP/1.0\r\n\r\n".into(),
            "\u{1}\u{2}".into(),
            DELETION.to_owned() + &"A: b\r\n".repeat(40) + "\r\n",
        ] {
            let text = text + "GET / HTTP/1.1\r\n\r\n";
            let mut bytes = unread(&text);
            let next = bytes.next();
            assert!(matches!(&next, Next::Open(all) if *all == text), "{text}: {next:?}");
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_found_at_its_last() {
        for end in ["\r\n\r\n", "\n\n", "\n\r\n"] {
            let head = DELETION.trim_end().to_owned() + end;
            let (mut bytes, last) = (unread(""), head.len() - 1);
            for (at, byte) in head.bytes().enumerate() {
                bytes.bytes.extend_from_slice(&[byte]);
                assert!(matches!(bytes.next(), Next::Unfinished) == (at < last), "{head:?} {at}");
            }
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_head_without_end_is_waited_for_only_so_long() {
        let mut bytes = unread(&format!("{DELETION}A: {}", "b".repeat(MAX_LEN - DELETION.len() - 3)));
        assert!(matches!(bytes.next(), Next::Unfinished) && bytes.bytes.len() == MAX_LEN);
        bytes.bytes.extend_from_slice(b"b");
        assert!(matches!(bytes.next(), Next::Open(all) if all.len() == MAX_LEN + 1));
    }
}
