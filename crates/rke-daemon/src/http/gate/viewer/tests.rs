use std::sync::Arc;

use axum::http::Method;
use httparse::Header;
use rke_engine::model::viewer::Page;
use rke_engine::settings::access::Access;

use super::*;
use crate::http::gate::AdmissionRules;
use crate::http::gate::crowd::Crowd;
use crate::http::message::query::Query;
use crate::http::policy::Row;
use crate::http::routes;

fn viewer(way: Way, pairs: &[(&'static str, &'static str)]) -> Viewer {
    let rules = AdmissionRules::new(&Access::default()).expect("settings");
    let admission = Admission::new(rules, None, Arc::default());
    let header = |(name, value): &(&'static str, &'static str)| Header { name, value: value.as_bytes() };
    let headers: Vec<Header<'_>> = pairs.iter().map(header).collect();
    let (query, method, Row { policy, path, .. }) = (Query::new(""), &Method::GET, routes::LIST);
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
        // Browsers always spell their own origin like the Host.
        (Way::Tls, vec![tls_host, (origin, "https://rke.example:443")], page("https://rke.example")),
        (Way::Tcp, vec![host, (origin, "http://localhost.:8080")], page("http://localhost.:8080")),
        (Way::Tcp, vec![host, (origin, "http://localhost:08080")], page("http://localhost:08080")),
        (Way::Tcp, vec![("host", "localhost.:8080"), (origin, "http://localhost.:8080")], program.clone()),
        (Way::Tcp, vec![("host", "LocalHost:8080"), (origin, "http://localhost:8080")], program.clone()),
        (Way::Unix, vec![("host", ""), (origin, "http://")], page("http://")),
        (Way::Tls, vec![tls_host, (origin, "http://rke.example")], page("http://rke.example")),
        // Behind a proxy that does TLS for the daemon.
        (Way::Tcp, vec![tls_host, (origin, "https://rke.example"), (site, "same-origin")], program.clone()),
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
    let rules = AdmissionRules::new(&Access::default()).expect("settings");
    let admission = Admission::new(rules, None, Arc::default());
    let page = admission.pages.of("http://localhost:3000");
    page.note_change();
    assert_eq!(admission.pages.of("http://LOCALHOST:3000").changes(), 1);
}
