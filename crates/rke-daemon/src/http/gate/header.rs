//! `X-RKE-Request: 1`: a header that no page can send without a preflight, which pages of other sites fail. It is
//! required where nothing else distinguishes a page's image or link from a program: without a token, over plain
//! HTTP, under a host that is not loopback.

use axum::http::{HeaderName, StatusCode};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;
use crate::http::policy::Audience;

const REQUEST: HeaderName = HeaderName::from_static("x-rke-request");

/// Admits requests that have the header or that do not need it.
pub(super) fn check(head: &RequestHead<'_>) -> Result<(), Refusal> {
    if head.policy.audience != Audience::Applications || head.all(&REQUEST).eq([b"1".as_slice()]) {
        return Ok(());
    }
    let message = "Without TLS, a request to this Host must have the header `X-RKE-Request: 1`, which shows that no page of \
                   another site sent it";
    Err(Refusal::new(Rule::Header, StatusCode::FORBIDDEN, message))
}
