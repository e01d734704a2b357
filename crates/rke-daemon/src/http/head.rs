//! The head of the next request on a connection, told by httparse: a frequent one is taken apart here,
//! any other is hyper's, with all that hyper does about bodies and about what is not well formed.

use std::mem::MaybeUninit;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use bytes::{Buf, BytesMut};
use httparse::{Header, Status};
use memchr::{memchr, memchr3};

use super::query::Query;

/// More headers than a frequent request has; hyper looks at those that bring more.
const MAX_HEADERS: usize = 32;

/// A head that is longer, and not at its end, is hyper's to refuse.
const MAX_LEN: usize = 64 * 1024;

pub(super) const DELETE: &str = "/api/rke/session/delete";
pub(super) const ENCRYPT: &str = "/api/rke/encrypt";
pub(super) const DECRYPT: &str = "/api/rke/decrypt";

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

    /// Where the router has it too.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Delete => DELETE,
            Self::Encrypt => ENCRYPT,
            Self::Decrypt => DECRYPT,
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

/// Takes what comes next from the bytes that were read.
pub(super) fn next(unread: &mut BytesMut) -> Next {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(unread, &mut headers) {
        Ok(Status::Partial) if unread.len() <= MAX_LEN => Next::Unfinished,
        Ok(Status::Complete(len)) if parsed.version == Some(1) && parsed.headers.iter().all(is_plain) => {
            match frequent(&parsed) {
                Some((call, request)) => {
                    unread.advance(len);
                    Next::Frequent(call, request)
                }
                None => Next::Single(unread.split_to(len)),
            }
        }
        _ => Next::Open(unread.split()),
    }
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

    fn unread(text: &str) -> BytesMut {
        BytesMut::from(text)
    }

    #[test]
    fn frequent_requests_are_taken_one_by_one() {
        let headers = "Connection: Keep-Alive\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n";
        let mut bytes = unread(&format!("{DELETION}{headers}GET /api/rke/encrypt HTTP/1.1\r\n\r\nGET /ap"));
        let Next::Frequent(Frequent::Delete, request) = next(&mut bytes) else { panic!("no deletion") };
        assert_eq!(request.uri(), "/api/rke/session/delete");
        assert_eq!(request.body(), &Query::new("session_id=ab"));
        assert_eq!(request.headers()["host"], "localhost");
        assert_eq!(request.headers().get_all("x-two").iter().count(), 2);
        assert!(matches!(next(&mut bytes), Next::Frequent(Frequent::Encrypt, _)));
        assert!(matches!(next(&mut bytes), Next::Unfinished) && bytes == "GET /ap");
    }

    #[test]
    fn other_requests_go_alone_when_they_have_no_body() {
        let first = "HEAD /api/rke/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut bytes = unread(&format!("{first}{DELETION}\r\n"));
        assert!(matches!(next(&mut bytes), Next::Single(head) if head == first));
        assert!(matches!(next(&mut bytes), Next::Frequent(Frequent::Delete, _)));
        for not_in_a_uri in ["\"", "<", ">", "#"] {
            let text = DELETION.replace("=ab", not_in_a_uri) + "\r\n";
            assert!(matches!(next(&mut unread(&text)), Next::Single(head) if head == text), "{text}");
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
            let next = next(&mut bytes);
            assert!(matches!(&next, Next::Open(all) if *all == text), "{text}: {next:?}");
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_head_without_end_is_waited_for_only_so_long() {
        let mut bytes = unread(&format!("{DELETION}A: {}", "b".repeat(MAX_LEN - DELETION.len() - 3)));
        assert!(matches!(next(&mut bytes), Next::Unfinished) && bytes.len() == MAX_LEN);
        bytes.extend_from_slice(b"b");
        assert!(matches!(next(&mut bytes), Next::Open(all) if all.len() == MAX_LEN + 1));
    }
}
