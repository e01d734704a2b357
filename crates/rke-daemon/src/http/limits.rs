//! Bounds on what a request may bring, checked before anything else looks at it. hyper has wider
//! ones of its own, which [`super::connection`] answers for.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::admission::{Refusal, Rule};

const MAX_URI_LEN: usize = 48 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_HEADERS_LEN: usize = 16 * 1024;
/// For the routes that read no body. Tunnels take as much as there is, a piece at a time.
const MAX_BODY_LEN: u64 = 64 * 1024;

pub(super) const URI_TOO_LONG: &str = "The request's URI is over 48 KiB";
pub(super) const HEADERS_TOO_LARGE: &str = "The request has over 64 headers or over 16 KiB of them";

/// Refuses what is too large.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let refuse = |status, message: &str| Err(Refusal::new(Rule::Size, status, message));
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_URI_LEN) {
        return refuse(StatusCode::URI_TOO_LONG, URI_TOO_LONG);
    }
    let headers = request.headers();
    if headers.len() > MAX_HEADERS || headers_len(headers) > MAX_HEADERS_LEN {
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, HEADERS_TOO_LARGE);
    }
    if is_streamed(request) {
        return Ok(());
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return too_large("The request's body must declare its length, of at most 64 KiB");
    }
    if declared_len(headers).is_some_and(|len| len > MAX_BODY_LEN) {
        return too_large("The request's body is over 64 KiB");
    }
    Ok(())
}

fn is_streamed<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    request.method() == Method::POST && path.starts_with("/api/rke/session/") && path.ends_with("/tunnel")
}

/// The body is not read, so nothing that follows it on the connection can be trusted to be a request.
fn too_large(message: &str) -> Result<(), Refusal> {
    let mut refusal = Refusal::new(Rule::Size, StatusCode::PAYLOAD_TOO_LARGE, message);
    refusal.failure = refusal.failure.closing();
    Err(refusal)
}

fn headers_len(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn declared_len(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
