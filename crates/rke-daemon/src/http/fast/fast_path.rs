//! The head of the next request on a connection, told by httparse: a frequent one is answered where it
//! stands, any other is hyper's, with all that hyper does about bodies and about what is not well formed.

use std::io;
use std::mem::MaybeUninit;

use axum::http::Method;
use bytes::{Buf, BytesMut};
use httparse::{Header, Status};
use memchr::{memchr, memchr_iter};
use rke_engine::settings::FastPath;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::http::api::query::Query;
use crate::http::gate::limits::MAX_URI_LEN;
use crate::http::gate::request_head::RequestHead;
use crate::http::routes::{self, Route};

/// More headers than a frequent request has; hyper looks at those that bring more.
const MAX_HEADERS: usize = 32;

/// A head that is longer, and not at its end, is hyper's, which refuses it when it is far too long.
const MAX_LEN: usize = 64 * 1024;

/// Room for what is read at one time, and for a client that has filled that.
const READ_LEN: usize = 8 * 1024;
const LONG_READ_LEN: usize = 32 * 1024;

/// Requests that come by the thousand. All are GET, without a body, and answered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Frequent {
    Delete,
    Encrypt,
    Decrypt,
}

impl Frequent {
    /// All of them, in the order of their numbers.
    pub(in crate::http) const ALL: [Self; 3] = [Self::Delete, Self::Encrypt, Self::Decrypt];

    fn of(method: &str, path: &str, query: &Query<'_>) -> Option<Self> {
        let call = Self::ALL.into_iter().find(|call| method == "GET" && path == call.row().path)?;
        // A deletion may be asked to look through memory, to remove a file, or to wait for the other end.
        (call != Self::Delete || !query.has_several()).then_some(call)
    }

    /// Its row in the table, which the router has too.
    pub(in crate::http) fn row(self) -> &'static Route {
        match self {
            Self::Delete => &routes::DELETE,
            Self::Encrypt => &routes::ENCRYPT,
            Self::Decrypt => &routes::DECRYPT,
        }
    }
}

/// What comes next on a connection.
#[derive(Debug)]
pub(in crate::http) enum Next<A> {
    /// A frequent request, and what came of it.
    Answered(A),
    /// The whole of another request, or of one that is left, which has no body. More requests may follow it.
    Single(BytesMut),
    /// Anything else: from here on the connection is hyper's.
    Open(BytesMut),
    /// One that says twice how long its body is: whoever has passed it on may have understood the other word.
    Unclear,
    /// Not even a whole head yet.
    Unfinished,
}

/// Bytes that were read from a connection, and nobody has looked at but for heads.
#[derive(Default)]
pub(in crate::http) struct Unread {
    fast_path: FastPath,
    bytes: BytesMut,
    /// How many of them were there when a head was looked for last, and not found.
    looked_at: usize,
    /// Whether the client has filled the usual room the last time.
    comes_in_bulk: bool,
}

impl Unread {
    /// Of a connection on which frequent requests go this way.
    pub(in crate::http) fn new(fast_path: FastPath) -> Self {
        Self { fast_path, ..Self::default() }
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all that there is.
    pub(in crate::http) fn take(&mut self) -> BytesMut {
        self.looked_at = 0;
        self.bytes.split()
    }

    /// Reads more. Says how much came.
    pub(in crate::http) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        let room = if self.comes_in_bulk { LONG_READ_LEN } else { READ_LEN };
        self.bytes.reserve(room);
        let len = stream.read_buf(&mut self.bytes).await?;
        self.comes_in_bulk = len >= READ_LEN;
        Ok(len)
    }

    /// Takes what comes next. A frequent request is answered by `answer`, which may leave it to hyper.
    pub(in crate::http) fn next<A>(
        &mut self,
        answer: impl FnOnce(Frequent, &RequestHead<'_>) -> Option<A>,
    ) -> Next<A> {
        // A head that comes byte by byte is not parsed as often.
        if self.looked_at > 0 && !ends_a_head(&self.bytes[self.looked_at.saturating_sub(3)..]) {
            return self.unfinished();
        }
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(&self.bytes, &mut headers) {
            Ok(Status::Partial) => self.unfinished(),
            Ok(Status::Complete(len)) if parsed.version == Some(1) && parsed.headers.iter().all(is_plain) => {
                self.looked_at = 0;
                let answered = match self.fast_path {
                    FastPath::On => frequent(&parsed, answer),
                    FastPath::Off => None,
                };
                match answered {
                    Some(answered) => {
                        self.bytes.advance(len);
                        Next::Answered(answered)
                    }
                    None => Next::Single(self.bytes.split_to(len)),
                }
            }
            Ok(Status::Complete(_)) if parsed.headers.iter().filter(|it| tells_length(it)).count() > 1 => {
                Next::Unclear
            }
            _ => Next::Open(self.take()),
        }
    }

    fn unfinished<A>(&mut self) -> Next<A> {
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

fn tells_length(header: &Header<'_>) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|name| header.name.eq_ignore_ascii_case(name))
}

/// Answers a frequent request. `None` for another one, where hyper would find something wrong with it, and where
/// `answer` leaves it.
fn frequent<A>(
    parsed: &httparse::Request<'_, '_>,
    answer: impl FnOnce(Frequent, &RequestHead<'_>) -> Option<A>,
) -> Option<A> {
    let target = parsed.path?;
    let end = memchr(b'?', target.as_bytes()).unwrap_or(target.len());
    let (path, query) = (&target[..end], Query::new(target.get(end + 1..).unwrap_or_default()));
    let call = Frequent::of(parsed.method?, path, &query)?;
    // hyper refuses far too long ones itself, and in another way than the gate.
    if target.len() > MAX_URI_LEN || query.has_what_no_uri_has() {
        return None;
    }
    let (policy, headers) = (call.row().policy, &*parsed.headers);
    answer(call, &RequestHead { policy, method: &Method::GET, path, query: &query, authority: None, headers })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// A deletion whose head has no end yet.
    fn deletion() -> String {
        format!("GET {}?session_id=ab HTTP/1.1\r\nHost: localhost\r\n", routes::DELETE.path)
    }

    fn unread(text: &str) -> Unread {
        Unread { bytes: text.into(), ..Unread::default() }
    }

    /// A frequent request as it was told: what it is, its query, and its headers.
    type Told = (Frequent, String, Vec<(String, String)>);

    /// What comes next.
    fn next(unread: &mut Unread) -> Next<Told> {
        unread.next(|call, head| {
            assert_eq!((head.method, head.path, head.authority), (&Method::GET, call.row().path, None));
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let headers = head.headers.iter().map(|header| (header.name.into(), text(header.value)));
            Some((call, format!("{:?}", head.query), headers.collect()))
        })
    }

    #[test]
    fn frequent_requests_are_taken_one_by_one() {
        let headers = "Connection: Keep-Alive\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n";
        let (one, other) = (deletion(), routes::ENCRYPT.path);
        let mut bytes = unread(&format!("{one}{headers}GET {other} HTTP/1.1\r\n\r\nGET /ap"));
        let Next::Answered((call, query, headers)) = next(&mut bytes) else { panic!("no deletion") };
        assert_eq!((call, query), (Frequent::Delete, format!("{:?}", Query::new("session_id=ab"))));
        let given = [("Host", "localhost"), ("Connection", "Keep-Alive"), ("X-Two", "1"), ("X-Two", "2")];
        assert!(headers.iter().map(|(name, value)| (&name[..], &value[..])).eq(given), "{headers:?}");
        assert!(matches!(next(&mut bytes), Next::Answered((Frequent::Encrypt, ..))));
        assert!(matches!(next(&mut bytes), Next::Unfinished) && bytes.bytes == "GET /ap");
    }

    #[test]
    fn other_requests_go_alone_when_they_have_no_body() {
        let first = format!("HEAD {} HTTP/1.1\r\nHost: localhost\r\n\r\n", routes::STATUS.path);
        let mut bytes = unread(&format!("{first}{}\r\n", deletion()));
        assert!(matches!(next(&mut bytes), Next::Single(head) if head == first));
        assert!(matches!(next(&mut bytes), Next::Answered((Frequent::Delete, ..))));
        for not_quick_or_in_no_uri in ["&a", "&everywhere=true", "\"", "<", ">", "#"] {
            let text = deletion().replace("=ab", not_quick_or_in_no_uri) + "\r\n";
            assert!(matches!(next(&mut unread(&text)), Next::Single(head) if head == text), "{text}");
        }
    }

    #[test]
    fn a_target_that_is_too_long_is_left_to_hyper() {
        let text = deletion() + "\r\n";
        let target_len = text.split(' ').nth(1).expect("a target").len();
        let with_len = |len: usize| text.replace("=ab", &format!("=ab{}", "c".repeat(len - target_len)));
        assert!(matches!(next(&mut unread(&with_len(MAX_URI_LEN))), Next::Answered(_)));
        assert!(matches!(next(&mut unread(&with_len(MAX_URI_LEN + 1))), Next::Single(_)));
    }

    #[test]
    fn what_is_not_answered_here_goes_alone() {
        let text = deletion() + "\r\n";
        let mut bytes = unread(&text);
        assert!(matches!(bytes.next(|_, _| None::<()>), Next::Single(head) if head == text));
    }

    #[test]
    fn nothing_is_answered_here_where_that_is_switched_off() {
        let text = deletion() + "\r\n";
        let mut off = Unread { bytes: text.as_str().into(), ..Unread::new(FastPath::Off) };
        assert!(matches!(next(&mut off), Next::Single(head) if head == text));
    }

    #[tokio::test]
    async fn there_is_more_room_for_a_client_that_has_filled_what_there_was() {
        let (mut client, mut server) = tokio::io::duplex(100_000);
        let mut unread = Unread::default();
        client.write_all(&[b'a'; 90_000]).await.expect("written");
        let mut read = [0; 3];
        for len in &mut read {
            *len = unread.read(&mut server).await.expect("read");
            unread.take();
        }
        assert!(read[0] < LONG_READ_LEN && read[1..].iter().all(|len| *len >= LONG_READ_LEN), "{read:?}");
    }

    #[test]
    fn what_may_have_a_body_or_is_not_well_formed_takes_the_connection_along() {
        let with = |header: &str| format!("{}{header}\r\n\r\n", deletion());
        for text in [
            with("Content-Length: 3") + "abc",
            with("content-length: 0"),
            with("TRANSFER-ENCODING: chunked"),
            with("Expect: 100-continue"),
            with("Upgrade: websocket"),
            with("Connection: close"),
            with("Connection: keep-alive, upgrade"),
            with("Bad Name: x"),
            deletion().replace("1.1", "1.0") + "\r\n",
            deletion().replace("1.1", "2.0") + "\r\n",
            deletion().replace("=ab", "=\u{7f}") + "\r\n",
            format!("GET http://localhost{} HTTP/1.0\r\n\r\n", routes::ENCRYPT.path),
            "\u{1}\u{2}".into(),
            deletion() + &"A: b\r\n".repeat(40) + "\r\n",
        ] {
            let text = text + "GET / HTTP/1.1\r\n\r\n";
            let mut bytes = unread(&text);
            let next = next(&mut bytes);
            assert!(matches!(&next, Next::Open(all) if *all == text), "{text}: {next:?}");
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_found_at_its_last() {
        for end in ["\r\n\r\n", "\n\n", "\n\r\n"] {
            let head = deletion().trim_end().to_owned() + end;
            let (mut bytes, last) = (unread(""), head.len() - 1);
            for (at, byte) in head.bytes().enumerate() {
                bytes.bytes.extend_from_slice(&[byte]);
                assert!(matches!(next(&mut bytes), Next::Unfinished) == (at < last), "{head:?} {at}");
            }
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_head_without_end_is_waited_for_only_so_long() {
        let start = deletion() + "A: ";
        let mut bytes = unread(&(start.clone() + &"b".repeat(MAX_LEN - start.len())));
        assert!(matches!(next(&mut bytes), Next::Unfinished) && bytes.bytes.len() == MAX_LEN);
        bytes.bytes.extend_from_slice(b"b");
        assert!(matches!(next(&mut bytes), Next::Open(all) if all.len() == MAX_LEN + 1));
    }
}
