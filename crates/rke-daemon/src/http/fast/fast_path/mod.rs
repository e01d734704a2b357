//! Reads the head of the next request on a connection with httparse. A frequent request is served from the buffer.
//! hyper gets any other, because it handles bodies and malformed input.

use std::io;
use std::mem::MaybeUninit;

use axum::http::Method;
use bytes::{Buf, BytesMut};
use httparse::{Header, Status};
use memchr::{memchr, memchr_iter};
use rke_engine::settings::FastPath;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::http::gate::limits::MAX_URI_LEN;
use crate::http::gate::request_head::RequestHead;
use crate::http::message::query::Query;
use crate::http::policy::Row;
use crate::http::routes;

/// More headers than a frequent request has. hyper handles requests with more.
const MAX_HEADERS: usize = 32;

/// hyper gets an unfinished head that is longer than this, and refuses it once it is far too long.
const MAX_LEN: usize = 64 * 1024;

/// How much is read at one time, normally and from a client that has filled that.
const READ_LEN: usize = 8 * 1024;
const LONG_READ_LEN: usize = 32 * 1024;

/// Frequent requests. All are GETs without a body, and are served at once.
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
        // A deletion with further parameters may scan memory, remove a file or wait for the other end.
        (call != Self::Delete || !query.has_several()).then_some(call)
    }

    /// Its row in the table of routes, the same that the router has.
    pub(in crate::http) fn row(self) -> &'static Row {
        match self {
            Self::Delete => &routes::DELETE,
            Self::Encrypt => &routes::ENCRYPT,
            Self::Decrypt => &routes::DECRYPT,
        }
    }
}

/// The next input on a connection.
#[derive(Debug)]
pub(in crate::http) enum Next<A> {
    /// A frequent request, with its result.
    Answered(A),
    /// One complete request without a body, which is not frequent or was declined. More requests may follow it.
    Single(BytesMut),
    /// Anything else. From here on hyper serves the connection.
    Open(BytesMut),
    /// A request that declares the length of its body twice. A proxy in between may have used the other
    /// declaration.
    Unclear,
    /// Not yet a complete head.
    Unfinished,
}

/// Bytes that were read from a connection and not yet consumed.
#[derive(Default)]
pub(in crate::http) struct Unread {
    fast_path: FastPath,
    bytes: BytesMut,
    /// How many bytes the last unsuccessful search for a head has covered.
    looked_at: usize,
    /// Whether the last read filled the usual buffer.
    comes_in_bulk: bool,
}

impl Unread {
    /// For a connection with this setting of the fast path.
    pub(in crate::http) fn new(fast_path: FastPath) -> Self {
        Self { fast_path, ..Self::default() }
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all bytes.
    pub(in crate::http) fn take(&mut self) -> BytesMut {
        self.looked_at = 0;
        self.bytes.split()
    }

    /// Reads more. Returns the number of bytes.
    pub(in crate::http) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        let room = if self.comes_in_bulk { LONG_READ_LEN } else { READ_LEN };
        self.bytes.reserve(room);
        let len = stream.read_buf(&mut self.bytes).await?;
        self.comes_in_bulk = len >= READ_LEN;
        Ok(len)
    }

    /// Takes the next request. `answer` serves a frequent one, or declines it, and then hyper gets it.
    pub(in crate::http) fn next<A>(
        &mut self,
        answer: impl FnOnce(Frequent, &RequestHead<'_>) -> Option<A>,
    ) -> Next<A> {
        // Avoids parsing again for each byte of a head that arrives byte by byte.
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

/// Whether the bytes contain the empty line that ends a head.
fn ends_a_head(bytes: &[u8]) -> bool {
    memchr_iter(b'\n', bytes).any(|at| matches!(&bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Whether a header leaves the request without a body and the connection as it is.
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

/// Serves a frequent request. `None` for any other request, for one that hyper would find fault with, and if
/// `answer` declines.
fn frequent<A>(
    parsed: &httparse::Request<'_, '_>,
    answer: impl FnOnce(Frequent, &RequestHead<'_>) -> Option<A>,
) -> Option<A> {
    let target = parsed.path?;
    let end = memchr(b'?', target.as_bytes()).unwrap_or(target.len());
    let (path, query) = (&target[..end], Query::new(target.get(end + 1..).unwrap_or_default()));
    let call = Frequent::of(parsed.method?, path, &query)?;
    // hyper itself refuses targets that are far too long, and in another way than the gate.
    if target.len() > MAX_URI_LEN || query.has_what_no_uri_has() {
        return None;
    }
    let (policy, headers) = (call.row().policy, &*parsed.headers);
    answer(call, &RequestHead { policy, method: &Method::GET, path, query: &query, authority: None, headers })
}

#[cfg(test)]
mod tests;
