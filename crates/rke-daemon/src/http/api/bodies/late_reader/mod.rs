//! Clients that send a whole body before they read the response. The daemon reads a raw body no faster than the client
//! reads the response, so once the buffers of the system are full, such a client and the daemon wait for each other.
//! Before the response begins, nothing else shows that a client is one of them, and then it is too late for an error:
//! so it is told by its `User-Agent`.

use axum::body::{Body, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use crate::http::gate::caller::{Caller, Way};
use crate::http::message::failure::Failure;

/// The longest body that is streamed to a late reader. The buffers that Linux has by default for a TCP connection hold
/// a response of this size.
const MAX_STREAMED_LEN: u64 = 8 * 1024 * 1024;

/// The longest body whose response is held back until the body has ended: as much as a JSON body may have.
pub(super) const MAX_HELD_LEN: u64 = 1024 * 1024;

/// How the `User-Agent` of late readers begins, and what they are.
const KNOWN: [(&str, &str); 12] = [
    ("Apache-HttpClient/", "Apache HttpClient"),
    ("HTTP-Tiny/", "HTTP::Tiny"),
    ("HTTPie/", "HTTPie"),
    ("Java-http-client/", "Java's HttpClient"),
    ("Java/", "Java's HttpURLConnection"),
    ("Mozilla/", "a browser"),
    ("okhttp/", "OkHttp"),
    ("python-httpx/", "httpx"),
    ("python-requests/", "requests"),
    ("Python-urllib/", "urllib"),
    ("python-urllib3/", "urllib3"),
    ("Wget/", "wget"),
];

/// How a client gets the response to its raw body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// As it is made.
    Streamed,
    /// Once the body has ended.
    Held(LateReader),
}

/// A client that sends everything before it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LateReader {
    name: &'static str,
    /// Which of its bodies are held.
    held: &'static str,
}

impl Delivery {
    /// How the response to this body is delivered.
    ///
    /// # Errors
    /// 413 if the client would get stuck with it.
    pub(super) fn of(head: &Parts, body: &Body) -> Result<Self, Failure> {
        let is_unix = head.extensions.get().is_some_and(|caller: &Caller| caller.way == Way::Unix);
        Self::decide(&head.headers, body.size_hint().exact(), is_unix)
    }

    fn decide(headers: &HeaderMap, declared: Option<u64>, is_unix: bool) -> Result<Self, Failure> {
        let Some(name) = known(headers) else { return Ok(Self::Streamed) };
        // The buffers of a Unix socket are small.
        let held = if is_unix { "over a unix socket" } else { "without a declared length" };
        let reader = LateReader { name, held };
        match declared {
            Some(len) if is_unix && len > MAX_HELD_LEN => Err(reader.held_too_long()),
            Some(len) if len > MAX_STREAMED_LEN => Err(reader.too_large("8 MiB")),
            Some(_) if !is_unix => Ok(Self::Streamed),
            Some(_) | None => Ok(Self::Held(reader)),
        }
    }
}

impl LateReader {
    /// 413 for a body that is too long to be held.
    pub(super) fn held_too_long(self) -> Failure {
        self.too_large(&format!("1 MiB {}", self.held))
    }

    fn too_large(self, limit: &str) -> Failure {
        let message = format!(
            "The raw body is over {limit}, and this client ({}) sends all of it before it reads the response, so both ends \
             would wait for each other: send less at once, or use a client that reads while it sends, such as curl; see docs/api.md, Bodies",
            self.name
        );
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message).closing()
    }
}

/// What a client is, if it is known to read late.
fn known(headers: &HeaderMap) -> Option<&'static str> {
    let agent = headers.get(header::USER_AGENT)?.as_bytes();
    // Ruby's library has no version in its name.
    if agent == b"Ruby" {
        return Some("Net::HTTP");
    }
    KNOWN.iter().find(|(start, _)| agent.starts_with(start.as_bytes())).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests;
