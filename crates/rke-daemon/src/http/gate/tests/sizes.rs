//! How much a request may bring.

use super::*;
use crate::http::message::body::MAX_JSON_LEN;

const LENGTH: &str = "content-length";
const TYPE: &str = "content-type";

fn gate() -> Gate {
    Gate::new(Way::Tcp, &Access::default())
}

#[test]
fn a_target_has_an_end() {
    let path = routes::LIST.path;
    for (len, expected) in [(0, "passes"), (48 * 1024, "passes"), (48 * 1024 + 1, "size 414")] {
        let query = "x".repeat(len - (path.len() + 1).min(len));
        let target = format!("{path}?{query}");
        let (verdict, _) = gate().decide(routes::LIST, &request(routes::LIST, &target, &[HOST]));
        assert_eq!(verdict, expected, "{len}");
    }
}

#[test]
fn headers_have_a_number_and_a_length() {
    let [just, over] = [16 * 1024, 16 * 1024 + 1].map(|len: usize| {
        let rest = len - HOST.0.len() - HOST.1.len() - "x".len();
        "x".repeat(rest)
    });
    for (what, headers, expected) in [
        ("64", vec![("x", ""); 63], "passes"),
        ("65", vec![("x", ""); 64], "size 431"),
        ("16 KiB", vec![("x", just.as_str())], "passes"),
        ("one byte more", vec![("x", over.as_str())], "size 431"),
    ] {
        let headers: Vec<_> = [HOST].into_iter().chain(headers).collect();
        assert_eq!(gate().verdict(routes::LIST, &headers), expected, "{what}");
    }
}

#[test]
fn a_body_is_as_long_as_its_route_lets_it_be() {
    let (small, json) = (64 * 1024, MAX_JSON_LEN);
    let is_json = (TYPE, "application/json; charset=utf-8");
    for (route, headers, len, expected) in [
        (routes::LIST, vec![], small, "passes"),
        (routes::LIST, vec![], small + 1, "size 413"),
        (routes::CREATE_BY_POST, vec![is_json], small, "passes"),
        (routes::CREATE_BY_POST, vec![is_json], small + 1, "size 413"),
        (routes::ENCRYPT_BY_POST, vec![is_json], json, "passes"),
        (routes::ENCRYPT_BY_POST, vec![is_json], json + 1, "size 413"),
        (routes::ENCRYPT_BY_POST, vec![(TYPE, "text/plain")], json + 1, "passes"),
        (routes::ENCRYPT_BY_POST, vec![], u64::MAX, "passes"),
        // If the kind is unclear, the handler refuses the request before it reads the body.
        (routes::ENCRYPT_BY_POST, vec![is_json, is_json], json + 1, "passes"),
        (routes::SEAL, vec![is_json], json + 1, "size 413"),
        (routes::OPEN, vec![], json + 1, "passes"),
        (routes::TUNNEL, vec![is_json], json + 1, "passes"),
    ] {
        let len = len.to_string();
        let headers: Vec<_> = [HOST, (LENGTH, len.as_str())].into_iter().chain(headers).collect();
        assert_eq!(gate().verdict(route, &headers), expected, "{} {len}", route.path);
    }
}

#[test]
fn a_length_is_declared_in_one_way() {
    let chunked = ("transfer-encoding", "chunked");
    for (route, headers, expected) in [
        (routes::ENCRYPT_BY_POST, vec![chunked], "passes"),
        (routes::TUNNEL, vec![chunked], "passes"),
        (routes::LIST, vec![chunked], "passes"),
        (routes::LIST, vec![(LENGTH, "0"), chunked], "size 400"),
        (routes::ENCRYPT_BY_POST, vec![(LENGTH, "7"), chunked], "size 400"),
        (routes::TUNNEL, vec![(LENGTH, "7"), chunked], "size 400"),
    ] {
        let headers: Vec<_> = [HOST].into_iter().chain(headers).collect();
        assert_eq!(gate().verdict(route, &headers), expected, "{} {headers:?}", route.path);
    }
}

#[test]
fn a_connection_whose_body_is_not_read_ends() {
    let (json, raw) = ((TYPE, "application/json"), (TYPE, "text/plain"));
    let (large, both, evil) = ((LENGTH, "9999999"), ("transfer-encoding", "chunked"), ("host", "evil.test"));
    for (route, headers, closes) in [
        (routes::CREATE_BY_POST, vec![HOST, json, large], true),
        (routes::CREATE_BY_POST, vec![HOST, json, (LENGTH, "7"), both], true),
        // Another rule refuses these. A small body is still read; a streamed one is not.
        (routes::CREATE_BY_POST, vec![evil, json], false),
        (routes::ENCRYPT_BY_POST, vec![evil, json], false),
        (routes::ENCRYPT_BY_POST, vec![evil, raw], true),
        (routes::ENCRYPT_BY_POST, vec![evil], true),
        (routes::ENCRYPT_BY_POST, vec![evil, json, json], true),
        (routes::TUNNEL, vec![evil], true),
        // Requests that pass keep the connection open.
        (routes::TUNNEL, vec![HOST], false),
        (routes::ENCRYPT_BY_POST, vec![HOST, raw], false),
    ] {
        let (verdict, response) = gate().decide(route, &request(route, &route.with_id(7), &headers));
        let is_closing = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
        assert_eq!(is_closing, closes, "{} {headers:?}: {verdict}", route.path);
    }
}
