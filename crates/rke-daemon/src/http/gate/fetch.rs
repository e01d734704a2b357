//! `Sec-Fetch-*` and `Sec-Purpose`: what a browser says about how a page made a request. An image,
//! a link or a form names no origin; these headers, which pages cannot set, give them away.

use axum::http::{HeaderName, StatusCode};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;

const PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether a request came with an `Origin`, which has passed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedOrigin {
    Passed,
    None,
}

/// Lets through what is not from another site, and a `fetch` from an origin that has passed.
pub(super) fn check(head: &RequestHead<'_>, origin: NamedOrigin) -> Result<(), Refusal> {
    let refuse = |rule, message: &str| Err(Refusal::new(rule, StatusCode::FORBIDDEN, message));
    if all(head, &PURPOSE).any(|value| value.to_ascii_lowercase().contains("prefetch")) {
        return refuse(Rule::Prefetch, "Prefetching is refused: it would do what nobody has asked for");
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

/// Whether the browser says that a page asks the server that it has come from.
pub(super) fn is_from_same_origin(head: &RequestHead<'_>) -> bool {
    all(head, &SITE).eq(["same-origin"])
}

/// A call of `fetch` whose answer the page may read, and not an element with `crossorigin`.
fn is_fetch(head: &RequestHead<'_>) -> bool {
    all(head, &MODE).eq(["cors"]) && all(head, &DEST).all(|dest| dest == "empty")
}

fn all<'a>(head: &RequestHead<'a>, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    // What is not text is kept, as a value that nothing allows.
    head.all(name).map(|value| std::str::from_utf8(value).unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use httparse::Header;

    use super::*;
    use crate::http::api::query::Query;
    use crate::http::routes;

    fn passes(pairs: &[(&'static str, &'static str)], origin: NamedOrigin) -> bool {
        let header = |(name, value): &(&'static str, &'static str)| Header { name, value: value.as_bytes() };
        let headers: Vec<Header<'_>> = pairs.iter().map(header).collect();
        let query = Query::new("");
        let (method, routes::Route { policy, path, .. }) = (&Method::GET, routes::LIST);
        let head = RequestHead { policy, method, path, query: &query, authority: None, headers: &headers };
        check(&head, origin).is_ok()
    }

    #[test]
    fn only_a_fetch_of_a_passed_origin_comes_from_elsewhere() {
        let (site, mode, dest) = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest");
        assert!(passes(&[], NamedOrigin::None) && passes(&[], NamedOrigin::Passed));
        for here in ["none", "same-origin"] {
            assert!(passes(&[(site, here), (mode, "navigate"), (dest, "document")], NamedOrigin::None));
        }
        for there in ["same-site", "cross-site", "unheard-of"] {
            let fetch = [(site, there), (mode, "cors"), (dest, "empty")];
            assert!(passes(&fetch, NamedOrigin::Passed) && !passes(&fetch, NamedOrigin::None));
            for (wrong_mode, wrong_dest) in
                [("no-cors", "image"), ("cors", "image"), ("navigate", "iframe"), ("no-cors", "empty")]
            {
                let element = [(site, there), (mode, wrong_mode), (dest, wrong_dest)];
                assert!(!passes(&element, NamedOrigin::Passed), "{element:?}");
            }
            assert!(!passes(&[(site, "none"), (site, there)], NamedOrigin::None));
        }
        assert!(!passes(&[("sec-purpose", "prefetch;prerender")], NamedOrigin::Passed));
    }
}
