//! What a page may send, and what it may read.

use axum::http::HeaderName;

use super::*;

const ORIGIN: (&str, &str) = ("origin", "http://LocalHost:3000");
const WANTED: (&str, &str) = ("access-control-request-method", "DELETE");
const PRIVATE: &str = "access-control-allow-private-network";

fn options(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = request(routes::LIST, routes::LIST.path, headers);
    *request.method_mut() = Method::OPTIONS;
    request
}

fn text(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}

#[test]
fn a_preflight_of_a_page_that_passes_needs_nothing_more() {
    let (token, _) = token();
    let gate = Gate::wanting(Some(token), Way::Tcp, &Access::default());
    let cross_site = ("sec-fetch-site", "cross-site");
    for (headers, expected) in [
        (vec![HOST, ORIGIN, WANTED], "preflight"),
        (vec![HOST, ORIGIN, WANTED, cross_site], "preflight"),
        (vec![HOST, ORIGIN, ("access-control-request-method", "")], "preflight"),
        (vec![HOST, ORIGIN], "token 401"),
        (vec![HOST, WANTED], "token 401"),
        (vec![HOST, ("origin", "http://evil.test"), WANTED], "origin 403"),
        (vec![HOST, ("origin", "null"), WANTED], "origin 403"),
        (vec![("host", "evil.test"), ORIGIN, WANTED], "host 421"),
    ] {
        let (verdict, response) = gate.decide(routes::LIST, &options(&headers));
        assert_eq!(verdict, expected, "{headers:?}");
        let methods = text(&response, header::ACCESS_CONTROL_ALLOW_METHODS);
        assert_eq!(methods.is_some(), expected == "preflight", "{headers:?}");
    }
}

#[test]
fn a_preflight_says_what_may_be_sent_and_for_how_long_that_holds() {
    let gate = Gate::new(Way::Tcp, &Access::default());
    let (_, response) = gate.decide(routes::LIST, &options(&[HOST, ORIGIN, WANTED]));
    for (name, expected) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, Some(ORIGIN.1)),
        (header::ACCESS_CONTROL_ALLOW_METHODS, Some("GET, HEAD, POST, DELETE")),
        (header::ACCESS_CONTROL_MAX_AGE, Some("600")),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, None),
        (HeaderName::from_static(PRIVATE), None),
    ] {
        assert_eq!(text(&response, name.clone()), expected, "{name}");
    }
    let allowed = text(&response, header::ACCESS_CONTROL_ALLOW_HEADERS).expect("headers");
    for name in ["Authorization", "Content-Type", "X-RKE-Request", "X-RKE-Session", "X-RKE-Nonce"] {
        assert!(allowed.split(", ").any(|allowed| allowed == name), "{name}: {allowed}");
    }
    for (wanted, expected) in [("true", Some("true")), ("false", None), ("TRUE", None), ("", None)] {
        let wanted = ("access-control-request-private-network", wanted);
        let (_, response) = gate.decide(routes::LIST, &options(&[HOST, ORIGIN, WANTED, wanted]));
        assert_eq!(text(&response, HeaderName::from_static(PRIVATE)), expected, "{wanted:?}");
    }
}

#[test]
fn a_page_that_has_passed_may_read_the_response_and_no_other_may() {
    let (token, text_of_token) = token();
    let gate = Gate::wanting(Some(token), Way::Tcp, &Access::default());
    let bearer = format!("Bearer {text_of_token}");
    let (shown, evil) = (("authorization", bearer.as_str()), ("origin", "http://evil.test"));
    for (headers, verdict, readable) in [
        (vec![HOST, ORIGIN, shown], "passes", Some(ORIGIN.1)),
        (vec![HOST, ORIGIN], "token 401", Some(ORIGIN.1)),
        (vec![HOST, ORIGIN, ("sec-purpose", "prefetch")], "prefetch 403", Some(ORIGIN.1)),
        (vec![HOST, shown], "passes", None),
        (vec![HOST, ("referer", "http://localhost:3000/"), shown], "passes", None),
        (vec![HOST, evil, shown], "origin 403", None),
        (vec![("host", "evil.test"), ORIGIN, shown], "host 421", None),
        (vec![HOST, ORIGIN, ORIGIN, shown], "origin 403", None),
    ] {
        let (given, response) =
            gate.decide(routes::LIST, &request(routes::LIST, routes::LIST.path, &headers));
        assert_eq!(given, verdict, "{headers:?}");
        assert_eq!(text(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), readable, "{headers:?}");
        let exposed = text(&response, header::ACCESS_CONTROL_EXPOSE_HEADERS);
        assert_eq!(exposed.is_some_and(|names| names.contains("X-Request-Id")), readable.is_some());
        assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
