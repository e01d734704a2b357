//! The headers that every answer has, also those that are written without axum: they keep answers
//! out of caches, frames and other pages.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// On every answer.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::VARY, "Origin, Sec-Fetch-Site"),
];

/// On answers that have no policy of their own: nothing is loaded, nothing frames it.
const CONTENT_POLICY: (HeaderName, &str) =
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");

/// All of them as lines, for answers that are written as bytes.
pub(in crate::http) fn lines() -> String {
    let all = ALWAYS.into_iter().chain([CONTENT_POLICY]);
    all.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// Puts them on an answer.
pub(in crate::http) fn complete(response: &mut Response) {
    let headers = response.headers_mut();
    // With these and those that follow, growing as they come would be half the work.
    headers.reserve(ALWAYS.len() + 4);
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let (name, value) = CONTENT_POLICY;
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
