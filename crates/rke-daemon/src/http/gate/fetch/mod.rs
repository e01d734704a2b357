//! `Sec-Fetch-*` and `Sec-Purpose`: what a browser says about how a page made a request. An image, a link or a form
//! sends no origin. These headers, which pages cannot set, reveal it.

use axum::http::{HeaderName, StatusCode};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;

const PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether a request has an `Origin`, which must have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedOrigin {
    Passed,
    None,
}

/// Admits requests that do not come from another site, and a `fetch` from an origin that has passed.
pub(super) fn check(head: &RequestHead<'_>, origin: NamedOrigin) -> Result<(), Refusal> {
    let refuse = |rule, message: &str| Err(Refusal::new(rule, StatusCode::FORBIDDEN, message));
    if all(head, &PURPOSE).any(|value| value.to_ascii_lowercase().contains("prefetch")) {
        return refuse(Rule::Prefetch, "Prefetching is refused: it would act before anyone asked for it");
    }
    let from_another_site = all(head, &SITE).any(|site| !matches!(site, "none" | "same-origin"));
    if !from_another_site || (origin == NamedOrigin::Passed && is_fetch(head)) {
        return Ok(());
    }
    refuse(
        Rule::Fetch,
        "Pages of other sites may use this daemon only by a CORS fetch, not by images, links, frames or forms",
    )
}

/// Whether the browser says that the page comes from the server to which it sends the request.
pub(super) fn is_from_same_origin(head: &RequestHead<'_>) -> bool {
    all(head, &SITE).eq(["same-origin"])
}

/// Whether it is a call of `fetch` whose response the page may read, and not an element with `crossorigin`.
fn is_fetch(head: &RequestHead<'_>) -> bool {
    all(head, &MODE).eq(["cors"]) && all(head, &DEST).all(|dest| dest == "empty")
}

fn all<'a>(head: &RequestHead<'a>, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    // A value that is not text counts as one that no rule allows.
    head.all(name).map(|value| std::str::from_utf8(value).unwrap_or("?"))
}

#[cfg(test)]
mod tests;
