//! What a request's body may be, where its head does not show that. A request without a body passes at once.

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};

use super::limits::{BODY_TOO_LARGE, MAX_BODY_LEN};
use crate::http::message::body::collect;
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::Failure;
use crate::http::policy::BodyRule;

const ENCODED: &str = "Bodies are not decoded: send this one as it is, without the header Content-Encoding";
const NOT_EMPTY: &str =
    "This endpoint takes no body, and nothing was deleted: what limits a deletion belongs in the query";

/// Checks the body that follows an admitted head. One that is small and declares no length is read, up to the limit:
/// handlers then need not look for its end.
///
/// # Errors
/// 415 if it is compressed, 400 if there should be none, 413 if it is too large, 408 if it stalls.
pub(super) async fn check(request: Request, rule: BodyRule) -> Result<Request, Failure> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    if is_encoded(request.headers()) {
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODED).closing());
    }
    let is_read = match rule {
        BodyRule::Empty => true,
        BodyRule::Small => request.headers().contains_key(header::TRANSFER_ENCODING),
        BodyRule::Data | BodyRule::Stream => false,
    };
    if !is_read {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let watch = BodyTimeout::watch(&head.extensions);
    let body = watch.in_time(collect(body, MAX_BODY_LEN, BODY_TOO_LARGE)).await??;
    if rule == BodyRule::Empty && !body.is_empty() {
        return Err(Failure::new(StatusCode::BAD_REQUEST, NOT_EMPTY));
    }
    Ok(Request::from_parts(head, body.into()))
}

/// Whether the headers name an encoding other than none.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.into_iter().any(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests;
