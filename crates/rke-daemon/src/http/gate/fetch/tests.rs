use axum::http::Method;
use httparse::Header;

use super::*;
use crate::http::message::query::Query;
use crate::http::policy::Row;
use crate::http::routes;

fn passes(pairs: &[(&'static str, &'static str)], origin: NamedOrigin) -> bool {
    let header = |(name, value): &(&'static str, &'static str)| Header { name, value: value.as_bytes() };
    let headers: Vec<Header<'_>> = pairs.iter().map(header).collect();
    let query = Query::new("");
    let (method, Row { policy, path, .. }) = (&Method::GET, routes::LIST);
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
