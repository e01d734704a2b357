//! Who asks, as a request that has passed tells it: a page by its origin, or else a program.

use rke_engine::model::viewer::Viewer;

use super::caller::{Caller, Way};
use super::origin::{self, Own};
use super::request_head::RequestHead;
use super::{Admission, fetch};
use crate::http::routes::Audience;

impl Admission {
    /// Who asks. A page of the daemon's own origin counts as a program: the console shows everything.
    pub(super) fn viewer(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Viewer {
        let way = caller.map_or(Way::Tcp, |caller| caller.way);
        let named = origin::named(head).and_then(|origin| std::str::from_utf8(origin).ok());
        let is_own = |origin| Own::of(head, way).is_some_and(|own| own.is(origin));
        // Elsewhere nobody sees anything of sessions, and a Referer may be any.
        match named.filter(|_| head.policy.audience == Audience::Applications) {
            // Where something else does TLS for the daemon, only the browser knows what its own origin is.
            Some(origin) if is_own(origin) || fetch::is_from_same_origin(head) => Viewer::Program,
            Some("null") => Viewer::NullOrigin,
            Some(origin) => Viewer::Page(self.pages.of(origin)),
            None => Viewer::Program,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::Method;
    use httparse::Header;
    use rke_engine::model::viewer::Page;
    use rke_engine::settings::access::Access;

    use super::*;
    use crate::http::api::query::Query;
    use crate::http::gate::Rules;
    use crate::http::gate::crowd::Crowd;
    use crate::http::routes;

    fn viewer(way: Way, pairs: &[(&'static str, &'static str)]) -> Viewer {
        let rules = Rules::new(&Access::default()).expect("settings");
        let admission = Admission::new(rules, None, Arc::default());
        let header = |(name, value): &(&'static str, &'static str)| Header { name, value: value.as_bytes() };
        let headers: Vec<Header<'_>> = pairs.iter().map(header).collect();
        let (query, method, routes::Route { policy, path, .. }) =
            (Query::new(""), &Method::GET, routes::LIST);
        let head = RequestHead { policy, method, path, query: &query, authority: None, headers: &headers };
        let place = Crowd::new(1).enter();
        admission.viewer(&head, Some(&Caller { way, place, peer: "loopback".into() }))
    }

    #[test]
    fn a_page_is_known_by_its_origin_and_the_daemons_own_are_programs() {
        let program = Viewer::Program;
        let page = |origin| Viewer::Page(Page::new(origin));
        let (host, tls_host) = (("host", "localhost:8080"), ("host", "rke.example"));
        let (origin, referer, site) = ("origin", "referer", "sec-fetch-site");
        for (way, headers, expected) in [
            (Way::Tcp, vec![host], program.clone()),
            (Way::Tcp, vec![host, (site, "none")], program.clone()),
            (Way::Tcp, vec![host, (origin, "http://localhost:8080")], program.clone()),
            (Way::Tcp, vec![host, (origin, "http://localhost:3000")], page("http://localhost:3000")),
            (Way::Tcp, vec![host, (origin, "HTTP://Localhost:3000")], page("http://localhost:3000")),
            (Way::Tcp, vec![host, (origin, "http://127.0.0.1:8080")], page("http://127.0.0.1:8080")),
            (Way::Tcp, vec![host, (origin, "https://localhost:8080")], page("https://localhost:8080")),
            (Way::Tcp, vec![host, (origin, "null")], Viewer::NullOrigin),
            (Way::Tcp, vec![host, (referer, "http://localhost:8080/docs")], program.clone()),
            (Way::Tcp, vec![host, (referer, "http://localhost:3000/a?b")], page("http://localhost:3000")),
            (Way::Tls, vec![tls_host, (origin, "https://rke.example")], program.clone()),
            // No browser spells its own origin otherwise than its Host.
            (Way::Tls, vec![tls_host, (origin, "https://rke.example:443")], page("https://rke.example")),
            (Way::Tcp, vec![host, (origin, "http://localhost.:8080")], page("http://localhost.:8080")),
            (Way::Tcp, vec![host, (origin, "http://localhost:08080")], page("http://localhost:08080")),
            (
                Way::Tcp,
                vec![("host", "localhost.:8080"), (origin, "http://localhost.:8080")],
                program.clone(),
            ),
            (Way::Tcp, vec![("host", "LocalHost:8080"), (origin, "http://localhost:8080")], program.clone()),
            (Way::Unix, vec![("host", ""), (origin, "http://")], page("http://")),
            (Way::Tls, vec![tls_host, (origin, "http://rke.example")], page("http://rke.example")),
            // Behind something that does TLS for the daemon.
            (
                Way::Tcp,
                vec![tls_host, (origin, "https://rke.example"), (site, "same-origin")],
                program.clone(),
            ),
            (
                Way::Tcp,
                vec![tls_host, (origin, "https://rke.example"), (site, "same-site")],
                page("https://rke.example"),
            ),
            (Way::Unix, vec![(origin, "http://localhost:3000")], page("http://localhost:3000")),
            (Way::Unix, vec![], program.clone()),
        ] {
            assert_eq!(viewer(way, &headers), expected, "{way:?} {headers:?}");
        }
    }

    #[test]
    fn a_page_is_the_same_one_each_time() {
        let rules = Rules::new(&Access::default()).expect("settings");
        let admission = Admission::new(rules, None, Arc::default());
        let page = admission.pages.of("http://localhost:3000");
        page.note_change();
        assert_eq!(admission.pages.of("http://LOCALHOST:3000").changes(), 1);
    }
}
