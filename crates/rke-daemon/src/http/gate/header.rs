//! `X-RKE-Request: 1`: a header that no page can send without a preflight, which pages of other sites fail. It is wanted
//! where nothing else would tell a page's image or link from a program: under a name, over plain HTTP.

use axum::http::{HeaderName, StatusCode};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;
use crate::http::routes::Audience;

const REQUEST: HeaderName = HeaderName::from_static("x-rke-request");

/// Lets through what brings the header, or asks for what anybody may read.
pub(super) fn check(head: &RequestHead<'_>) -> Result<(), Refusal> {
    if head.policy.audience != Audience::Applications || head.all(&REQUEST).eq([b"1".as_slice()]) {
        return Ok(());
    }
    let message = "Under this Host, without TLS, a request must have the header `X-RKE-Request: 1`, which shows that no \
                   page of another site has made it";
    Err(Refusal::new(Rule::Header, StatusCode::FORBIDDEN, message))
}
