//! Bounds on what a request may bring, checked before anything else looks at it. hyper has wider
//! ones of its own, which [`super::connection`] answers for.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::failure::Failure;

const MAX_URI_LEN: usize = 48 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_HEADERS_LEN: usize = 16 * 1024;
/// No route of this version reads a body.
const MAX_BODY_LEN: u64 = 64 * 1024;

pub(super) async fn check(request: Request, next: Next) -> Response {
    match exceeded(&request) {
        Some(failure) => failure.into_response(),
        None => next.run(request).await,
    }
}

fn exceeded(request: &Request) -> Option<Failure> {
    let uri = request.uri();
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > MAX_URI_LEN) {
        return Some(Failure::new(StatusCode::URI_TOO_LONG, "The request's URI is over 48 KiB"));
    }
    let headers = request.headers();
    if headers.len() > MAX_HEADERS || headers_len(headers) > MAX_HEADERS_LEN {
        let message = "The request has over 64 headers or over 16 KiB of them";
        return Some(Failure::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message));
    }
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    (length > MAX_BODY_LEN)
        .then(|| Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "The request's body is over 64 KiB"))
}

fn headers_len(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
