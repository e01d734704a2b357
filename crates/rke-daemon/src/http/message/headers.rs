//! The headers of every response, including those that are written without axum. They keep responses out of caches,
//! frames and other pages.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// On every response.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::VARY, "Origin, Sec-Fetch-Site"),
];

/// On responses without a policy of their own: they load nothing and cannot be framed.
const CONTENT_POLICY: (HeaderName, &str) =
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");

/// All of them as lines, for responses that are written as bytes.
pub(in crate::http) fn lines() -> String {
    let all = ALWAYS.into_iter().chain([CONTENT_POLICY]);
    all.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// Adds them to a response.
pub(in crate::http) fn complete(response: &mut Response) {
    let headers = response.headers_mut();
    // Room for these headers and the ones added later. Growing step by step would be half the work.
    headers.reserve(ALWAYS.len() + 4);
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let (name, value) = CONTENT_POLICY;
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
