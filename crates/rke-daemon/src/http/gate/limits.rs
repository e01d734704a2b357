//! Limits on the size of a request, checked before anything else. hyper has wider limits of its own, which
//! [`crate::http::wire::hyper_io`] handles.

use axum::http::{StatusCode, header};
use httparse::Header;

use super::request_head::RequestHead;
use super::{Refusal, Rule};
use crate::http::message::body::{JSON_TOO_LARGE, Kind, MAX_JSON_LEN};
use crate::http::policy::BodyRule;

/// The longest target of a request.
pub(in crate::http) const MAX_URI_LEN: usize = 48 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_HEADERS_LEN: usize = 16 * 1024;
pub(super) const MAX_BODY_LEN: u64 = 64 * 1024;
pub(super) const BODY_TOO_LARGE: &str = "The request's body is over 64 KiB";

pub(in crate::http) const URI_TOO_LONG: &str = "The request's URI is over 48 KiB";
pub(in crate::http) const HEADERS_TOO_LARGE: &str = "The request has over 64 headers or over 16 KiB of them";

/// Refuses a request that is too large.
pub(in crate::http) fn check(head: &RequestHead<'_>) -> Result<(), Refusal> {
    let refuse = |status, message: &str| Err(Refusal::new(Rule::Size, status, message));
    if head.path.len() + head.query.len() > MAX_URI_LEN {
        return refuse(StatusCode::URI_TOO_LONG, URI_TOO_LONG);
    }
    if head.headers.len() > MAX_HEADERS || headers_len(head.headers) > MAX_HEADERS_LEN {
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, HEADERS_TOO_LARGE);
    }
    let declared = declared_len(head);
    if declared.is_some() && head.has(&header::TRANSFER_ENCODING) {
        return unclear_length();
    }
    // A body that declares no length is measured while it is read.
    match head.policy.body {
        BodyRule::Empty | BodyRule::Small if declared.is_some_and(|len| len > MAX_BODY_LEN) => {
            too_large(BODY_TOO_LARGE)
        }
        BodyRule::Data if !brings_stream(head) && declared.is_some_and(|len| len > MAX_JSON_LEN) => {
            too_large(JSON_TOO_LARGE)
        }
        BodyRule::Empty | BodyRule::Small | BodyRule::Data | BodyRule::Stream => Ok(()),
    }
}

/// Whether a request has a body that is read as a stream. If such a request is refused, the rest of the body is not
/// read, so the connection has to close.
pub(in crate::http) fn brings_stream(head: &RequestHead<'_>) -> bool {
    match head.policy.body {
        BodyRule::Empty | BodyRule::Small => false,
        // A request whose kind is unclear is refused before its body is read.
        BodyRule::Data => !matches!(Kind::told_by(head.all(&header::CONTENT_TYPE)), Ok(Kind::Json)),
        BodyRule::Stream => true,
    }
}

/// A proxy may have used the other declaration of the length. The bytes that follow could then be another client's
/// request.
fn unclear_length() -> Result<(), Refusal> {
    let message = "A request must declare the length of its body in one way: by Content-Length or by chunks";
    let mut refusal = Refusal::new(Rule::Size, StatusCode::BAD_REQUEST, message);
    refusal.failure = refusal.failure.closing();
    Err(refusal)
}

/// The body is not read, so the bytes that follow it cannot be trusted to be a request.
fn too_large(message: &str) -> Result<(), Refusal> {
    let mut refusal = Refusal::new(Rule::Size, StatusCode::PAYLOAD_TOO_LARGE, message);
    refusal.failure = refusal.failure.closing();
    Err(refusal)
}

fn headers_len(headers: &[Header<'_>]) -> usize {
    headers.iter().map(|header| header.name.len() + header.value.len()).sum()
}

fn declared_len(head: &RequestHead<'_>) -> Option<u64> {
    std::str::from_utf8(head.first(&header::CONTENT_LENGTH)?).ok()?.parse().ok()
}
