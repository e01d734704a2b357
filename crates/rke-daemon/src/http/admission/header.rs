//! `X-RKE-Request: 1`: a header that no page can send without a preflight, which pages of other sites fail. It is wanted
//! where nothing else would tell a page's image or link from a program: under a name, over plain HTTP.

use axum::http::{HeaderName, StatusCode};

use super::is_open;
use super::refusals::{Refusal, Rule};
use crate::http::asked::Asked;

const REQUEST: HeaderName = HeaderName::from_static("x-rke-request");

/// What anybody may read: it says nothing of sessions.
const PUBLIC: [&str; 2] = ["/metrics", "/openapi.json"];

/// Lets through what brings the header, or asks for what anybody may read.
pub(super) fn check(asked: &Asked<'_>) -> Result<(), Refusal> {
    let is_public = is_open(asked.path) || PUBLIC.contains(&asked.path);
    if is_public || asked.all(&REQUEST).eq([b"1".as_slice()]) {
        return Ok(());
    }
    let message = "Under this Host, without TLS, a request must have the header `X-RKE-Request: 1`, which shows that no \
                   page of another site has made it";
    Err(Refusal::new(Rule::Header, StatusCode::FORBIDDEN, message))
}
