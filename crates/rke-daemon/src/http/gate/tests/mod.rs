//! Tests whole requests at the gate, one line for each: which pass, and which rule refuses the others.

mod pages;
mod sizes;
mod sources;

use std::net::IpAddr;

use axum::http::{Method, header};
use rke_engine::settings::access::{LoopbackOrigins, NullOrigin};
use rke_host::data_dir::{DataDir, Role, Sharing};

use super::crowd::Crowd;
use super::*;
use crate::http::policy::{Row, Verb};
use crate::http::routes;

const HOST: (&str, &str) = ("host", "localhost:8080");

/// A gate, and the connection that requests come on.
struct Gate {
    admission: Admission,
    caller: Caller,
}

impl Gate {
    fn new(way: Way, access: &Access) -> Self {
        Self::wanting(None, way, access)
    }

    /// A gate that requires this token.
    fn wanting(token: Option<Token>, way: Way, access: &Access) -> Self {
        let admission = Admission::new(AdmissionRules::new(access).expect("settings"), token, Arc::default());
        Self { admission, caller: Caller { way, place: Crowd::new(100).enter(), peer: "loopback".into() } }
    }

    /// The gate's verdict on a request: it passes, it is a preflight, or which rule refuses it with which status.
    fn verdict(&self, route: Row, headers: &[(&str, &str)]) -> String {
        self.decide(route, &request(route, &route.with_id(7), headers)).0
    }

    /// The verdict, and the response with everything that the gate adds to it.
    fn decide(&self, route: Row, request: &Request<()>) -> (String, Response) {
        let (query, headers) = (Query::of(request.uri()), lines(request.headers()));
        let head = RequestHead::of(request, routes::beside(&route), &query, &headers);
        let mut decision = self.admission.decide(&head, Some(&self.caller));
        let answer = decision.response.take();
        let mut response = answer.map_or_else(|| StatusCode::OK.into_response(), |answer| *answer);
        let status = response.status();
        let verdict = match response.extensions().get() {
            Some(RefusedBy(rule)) => format!("{} {}", rule.name(), status.as_u16()),
            None if status == StatusCode::NO_CONTENT => "preflight".into(),
            None => "passes".into(),
        };
        self.admission.complete(decision, &mut response);
        (verdict, response)
    }
}

/// A request for a route. Its headers are in Latin-1: U+00FF stands for a byte that never occurs in UTF-8.
fn request(route: Row, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let method = match route.verb {
        Verb::Read | Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Delete => Method::DELETE,
    };
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        let value: Vec<u8> = value.chars().map(|char| u8::try_from(char).expect("Latin-1")).collect();
        request = request.header(*name, value);
    }
    request.body(()).expect("a request")
}

/// A token, and the content of its file.
fn token() -> (Token, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
    let token = Token::create(&data).expect("a token");
    let text = std::fs::read_to_string(token.path()).expect("a file");
    (token, text.trim().into())
}

#[test]
fn of_several_faults_the_first_rule_names_its_own() {
    let (token, text) = token();
    let gate = Gate::wanting(Some(token), Way::Tcp, &Access::default());
    let bearer = format!("Bearer {text}");
    let large = "x".repeat(20_000);
    // Each line fixes the fault that the line before was refused for.
    let mut headers = vec![
        ("x-large", large.as_str()),
        ("host", "evil.test"),
        ("origin", "http://evil.test"),
        ("sec-purpose", "prefetch"),
        ("sec-fetch-site", "cross-site"),
    ];
    for (at, (name, value), expected) in [
        (0, ("x-large", "x"), "size 431"),
        (1, HOST, "host 421"),
        (2, ("origin", "http://localhost:3000"), "origin 403"),
        (3, ("sec-purpose", "none"), "prefetch 403"),
        (4, ("sec-fetch-site", "same-origin"), "fetch 403"),
        (0, ("authorization", bearer.as_str()), "token 401"),
    ] {
        assert_eq!(gate.verdict(routes::LIST, &headers), expected);
        headers[at] = (name, value);
    }
    assert_eq!(gate.verdict(routes::LIST, &headers), "passes");
    let refused = gate.admission.refusals().all();
    assert_eq!((refused.total(), refused.counts.len()), (6, 6), "each is counted under its rule");
}

#[test]
fn a_caller_is_counted_under_its_address_and_this_machine_is_one() {
    let place = Crowd::new(1).enter();
    for (address, peer) in [
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("0.0.0.0", "0.0.0.0"),
    ] {
        let address: IpAddr = address.parse().expect("an address");
        for way in [Way::Tcp, Way::Tls] {
            let caller = Caller::from_address(way, address, Arc::clone(&place));
            assert_eq!((caller.peer.as_str(), caller.way), (peer, way));
        }
    }
    for (uid, peer) in [(0, "user 0"), (1000, "user 1000")] {
        let caller = Caller::from_user(uid, Arc::clone(&place));
        assert_eq!((caller.peer.as_str(), caller.way), (peer, Way::Unix));
    }
    assert_eq!([Way::Tcp, Way::Tls, Way::Unix].map(Way::scheme), ["http", "https", "http"]);
}

/// The verdict on a route after many requests.
fn in_the_end(gate: &Gate, route: Row, target: &str) -> String {
    let verdict = || gate.decide(route, &request(route, target, &[HOST]));
    // Some of the allowance comes back meanwhile.
    let refused = (0..2_000).map(|_| verdict()).find(|(verdict, _)| verdict != "passes");
    let Some((verdict, response)) = refused else { return "passes".into() };
    assert!(response.headers().contains_key(header::RETRY_AFTER), "{verdict}");
    verdict
}

#[test]
fn sessions_and_receipts_have_a_rate_and_nothing_else_has() {
    for (route, query, expected) in [
        (routes::LIST, "", "passes"),
        (routes::ENCRYPT, "?session_id=7&plaintext=YQ==", "passes"),
        (routes::DELETE, "?session_id=7", "passes"),
        (routes::DELETE, "?session_id=7&verify=false", "passes"),
        (routes::DELETE, "?session_id=7&verify=true", "receipt_rate 429"),
        (routes::DELETE_BY_PATH, "?verify=true", "receipt_rate 429"),
        (routes::CREATE, "?domain=a.test", "session_rate 429"),
        (routes::CREATE_BY_POST, "", "session_rate 429"),
        // The handler refuses what it does not understand, and that uses up nothing.
        (routes::DELETE, "?session_id=7&verify=perhaps", "passes"),
    ] {
        let gate = Gate::new(Way::Tcp, &Access::default());
        let target = route.with_id(7) + query;
        assert_eq!(in_the_end(&gate, route, &target), expected, "{target}");
        // A page and a client from elsewhere each have an allowance of their own.
        let page = [HOST, ("origin", "http://localhost:3000")];
        assert_eq!(gate.decide(route, &request(route, &target, &page)).0, "passes", "{target}");
        let caller = Caller { peer: "192.0.2.7".into(), ..gate.caller.clone() };
        let other = Gate { caller, ..gate };
        assert_eq!(other.decide(route, &request(route, &target, &[HOST])).0, "passes", "{target}");
    }
}

#[test]
fn in_a_large_crowd_a_connection_without_the_token_leaves_after_its_response() {
    let (token, text) = token();
    let bearer = format!("Bearer {text}");
    let crowd = Crowd::new(4);
    let (place, _others) = (crowd.enter(), [(); 2].map(|()| crowd.enter()));
    let mut gate = Gate::wanting(Some(token), Way::Tcp, &Access::default());
    gate.caller.place = place;
    let shown = ("authorization", bearer.as_str());
    let closes = |route: Row, headers: &[(&str, &str)]| {
        let (_, response) = gate.decide(route, &request(route, route.path, headers));
        response.headers().get(CONNECTION).is_some_and(|value| value == "close")
    };
    assert!(closes(routes::LIST, &[HOST]) && closes(routes::LIVE, &[HOST]));
    assert!(closes(routes::LIVE, &[HOST, shown]), "where it is not wanted it is not looked at");
    assert!(!closes(routes::LIST, &[HOST, shown]) && !closes(routes::LIVE, &[HOST]), "it has shown it once");
    // If no token is required, no connection has to close.
    gate.admission.token = None;
    gate.caller.place = crowd.enter();
    let (verdict, response) = gate.decide(routes::LIST, &request(routes::LIST, routes::LIST.path, &[HOST]));
    assert_eq!((verdict.as_str(), response.headers().contains_key(CONNECTION)), ("passes", false));
}
