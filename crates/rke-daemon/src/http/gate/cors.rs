//! CORS: what the daemon tells a browser about a page whose origin has passed. The response repeats the origin as
//! it was sent. It is never `*`, and never allows cookies.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::request_head::RequestHead;

/// The methods and headers that pages may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, X-RKE-Request, X-RKE-Session, X-RKE-Nonce, X-RKE-Associated-Data",
);

/// The headers that pages may read.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Allow, Retry-After, WWW-Authenticate, X-Request-Id, X-RKE-Nonce");

/// How long a browser may cache the response, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Whether a request that has an origin asks for permission to send another one.
pub(super) fn is_preflight(head: &RequestHead<'_>) -> bool {
    head.method == Method::OPTIONS && head.has(&header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The response to a preflight.
pub(super) fn preflight_answer(head: &RequestHead<'_>) -> Response {
    let leave = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    let mut response = (StatusCode::NO_CONTENT, leave).into_response();
    if head.first(&REQUEST_PRIVATE_NETWORK).is_some_and(|wanted| wanted == b"true") {
        response.headers_mut().insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

/// Lets the page read a response.
pub(super) fn let_read(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
