//! Where a request comes from: `Host`, `Origin`, `Referer`, `Sec-Fetch-*`, the token and `X-RKE-Request`.

use super::*;

fn named() -> Access {
    Access { allow_hosts: vec!["rke.example".into(), "192.0.2.7".into()], ..Access::default() }
}

#[test]
fn a_request_names_one_host_which_is_this_daemon() {
    for (way, hosts, expected) in [
        (Way::Tcp, vec!["localhost"], "passes"),
        (Way::Tcp, vec!["LOCALHOST.:8080"], "passes"),
        (Way::Tcp, vec!["127.0.0.1:8080"], "passes"),
        (Way::Tls, vec!["[::1]:8080"], "passes"),
        (Way::Tls, vec!["rke.example"], "passes"),
        (Way::Tls, vec!["RKE.Example.:8443"], "passes"),
        (Way::Tls, vec!["192.0.2.7"], "passes"),
        (Way::Tls, vec![], "host 400"),
        (Way::Tls, vec!["localhost", "localhost"], "host 400"),
        (Way::Tls, vec!["localhost", "evil.test"], "host 400"),
        (Way::Tls, vec![""], "host 421"),
        (Way::Tls, vec!["evil.test"], "host 421"),
        (Way::Tls, vec!["sub.rke.example"], "host 421"),
        (Way::Tls, vec!["192.0.2.8"], "host 421"),
        (Way::Tls, vec!["0.0.0.0"], "host 421"),
        (Way::Tls, vec!["[::ffff:127.0.0.1]"], "host 421"),
        (Way::Tls, vec!["user@localhost"], "host 421"),
        (Way::Tls, vec!["localhost:x"], "host 421"),
        (Way::Tls, vec!["localhost\u{ff}"], "host 421"),
        // The mode of its file protects a Unix socket.
        (Way::Unix, vec![], "passes"),
        (Way::Unix, vec!["evil.test"], "passes"),
        (Way::Unix, vec!["\u{ff}"], "passes"),
        (Way::Unix, vec!["localhost", "localhost"], "host 400"),
    ] {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        assert_eq!(Gate::new(way, &named()).verdict(routes::LIST, &headers), expected, "{way:?} {hosts:?}");
    }
}

#[test]
fn a_target_with_a_host_names_the_same_one() {
    for (way, authority, expected) in [
        (Way::Tcp, "localhost:8080", "passes"),
        (Way::Tcp, "LocalHost.:8080", "passes"),
        (Way::Tcp, "localhost", "host 421"),
        (Way::Tcp, "localhost:8081", "host 421"),
        (Way::Tcp, "127.0.0.1:8080", "host 421"),
        (Way::Tcp, "evil.test", "host 421"),
        (Way::Unix, "evil.test", "passes"),
    ] {
        let target = format!("http://{authority}{}", routes::LIST.path);
        let request = request(routes::LIST, &target, &[HOST]);
        let (verdict, _) = Gate::new(way, &Access::default()).decide(routes::LIST, &request);
        assert_eq!(verdict, expected, "{way:?} {authority}");
    }
}

#[test]
fn a_page_names_one_origin_that_may_use_the_daemon() {
    let listed = || Access { allow_origins: vec!["https://app.example".into()], ..Access::default() };
    let null = Access { null_origin: NullOrigin::Allowed, ..Access::default() };
    let no_loopback = Access { loopback_origins: LoopbackOrigins::Refused, ..listed() };
    for (access, origins, expected) in [
        (&listed(), vec![], "passes"),
        (&listed(), vec!["http://localhost:8080"], "passes"),
        (&listed(), vec!["http://localhost:3000"], "passes"),
        (&listed(), vec!["https://app.example:443"], "passes"),
        (&listed(), vec!["https://app.example", "https://app.example"], "origin 403"),
        (&listed(), vec!["https://app.example", "https://evil.test"], "origin 403"),
        (&listed(), vec!["https://evil.test"], "origin 403"),
        (&listed(), vec!["https://app.example/"], "origin 403"),
        (&listed(), vec!["http://app.example"], "origin 403"),
        (&listed(), vec!["null"], "origin 403"),
        (&listed(), vec![""], "origin 403"),
        (&listed(), vec!["http://localhost\u{ff}"], "origin 403"),
        (&null, vec!["null"], "passes"),
        (&null, vec!["null", "null"], "origin 403"),
        (&no_loopback, vec!["http://localhost:8080"], "passes"),
        (&no_loopback, vec!["http://localhost:3000"], "origin 403"),
        (&no_loopback, vec!["https://app.example"], "passes"),
    ] {
        let named = origins.iter().map(|origin| ("origin", *origin));
        let headers: Vec<_> = [HOST].into_iter().chain(named).collect();
        assert_eq!(Gate::new(Way::Tcp, access).verdict(routes::LIST, &headers), expected, "{origins:?}");
    }
}

#[test]
fn a_referer_is_judged_where_no_origin_is_named() {
    let (origin, referer) = ("origin", "referer");
    for (route, headers, expected) in [
        (routes::LIST, vec![(referer, "http://localhost:8080/docs?a#b")], "passes"),
        (routes::LIST, vec![(referer, "http://localhost:3000")], "passes"),
        (routes::LIST, vec![(referer, "http://evil.test/http://localhost:8080")], "origin 403"),
        (routes::LIST, vec![(referer, "http://evil.test?http://localhost:8080")], "origin 403"),
        (routes::LIST, vec![(referer, "http://evil.test#@localhost:8080")], "origin 403"),
        (routes::LIST, vec![(referer, "http://localhost:8080@evil.test/")], "origin 403"),
        (routes::LIST, vec![(referer, "about:blank")], "origin 403"),
        (routes::LIST, vec![(referer, "null")], "origin 403"),
        (routes::LIST, vec![(referer, "")], "origin 403"),
        (routes::LIST, vec![(referer, "http://localhost/\u{ff}")], "origin 403"),
        (routes::LIST, vec![(referer, "http://localhost/"), (referer, "http://evil.test/")], "origin 403"),
        (routes::LIST, vec![(origin, "http://localhost"), (referer, "http://evil.test/")], "passes"),
        (routes::LIST, vec![(origin, "http://evil.test"), (referer, "http://localhost/")], "origin 403"),
        // A link may lead to something that has no effect.
        (routes::LIVE, vec![(referer, "http://evil.test/")], "passes"),
        (routes::METRICS, vec![(referer, "http://evil.test/")], "passes"),
        (routes::METRICS, vec![(origin, "http://evil.test")], "origin 403"),
    ] {
        let sent: Vec<_> = [HOST].into_iter().chain(headers.clone()).collect();
        let verdict = Gate::new(Way::Tcp, &Access::default()).verdict(route, &sent);
        assert_eq!(verdict, expected, "{} {headers:?}", route.path);
    }
}

#[test]
fn what_a_browser_says_of_a_request_counts_where_it_does_something() {
    let (site, mode, dest) = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest");
    let (purpose, page) = ("sec-purpose", ("origin", "http://localhost:3000"));
    for (route, headers, expected) in [
        (routes::LIST, vec![(site, "none")], "passes"),
        (routes::LIST, vec![(site, "same-origin"), (mode, "no-cors"), (dest, "image")], "passes"),
        (routes::LIST, vec![(site, "cross-site"), (mode, "no-cors"), (dest, "image")], "fetch 403"),
        (routes::LIST, vec![(site, "same-site"), (mode, "cors"), (dest, "empty")], "fetch 403"),
        (routes::LIST, vec![page, (site, "same-site"), (mode, "cors"), (dest, "empty")], "passes"),
        (routes::LIST, vec![page, (site, "same-site"), (mode, "cors")], "passes"),
        (routes::LIST, vec![page, (site, "same-site"), (dest, "empty")], "fetch 403"),
        (routes::LIST, vec![page, (site, "same-site"), (mode, "cors"), (mode, "cors")], "fetch 403"),
        (routes::LIST, vec![page, (site, "same-site"), (mode, "cors"), (dest, "script")], "fetch 403"),
        (routes::LIST, vec![(site, "\u{ff}")], "fetch 403"),
        (routes::LIST, vec![(site, "None")], "fetch 403"),
        (routes::LIST, vec![(purpose, "prefetch")], "prefetch 403"),
        (routes::LIST, vec![(purpose, "Prefetch;anonymous-client-ip")], "prefetch 403"),
        (routes::LIST, vec![page, (purpose, "x"), (purpose, "prefetch;prerender")], "prefetch 403"),
        (routes::LIST, vec![(purpose, "x")], "passes"),
        (routes::LIVE, vec![(site, "cross-site"), (purpose, "prefetch")], "passes"),
        (routes::METRICS, vec![(site, "cross-site"), (purpose, "prefetch")], "passes"),
    ] {
        let sent: Vec<_> = [HOST].into_iter().chain(headers.clone()).collect();
        let verdict = Gate::new(Way::Tcp, &Access::default()).verdict(route, &sent);
        assert_eq!(verdict, expected, "{} {headers:?}", route.path);
    }
}

#[test]
fn a_daemon_that_requires_its_token_takes_it_in_one_header() {
    let (token, text) = token();
    let gate = Gate::wanting(Some(token), Way::Tcp, &named());
    let (right, upper) = (format!("Bearer {text}"), format!("bearer  {} ", text.to_uppercase()));
    let (wrong, cut, basic) =
        (format!("Bearer {}", "0".repeat(64)), &right[..right.len() - 2], right.replace("Bearer", "Basic"));
    let longer = format!("{right}00");
    for (route, sent, expected) in [
        (routes::LIST, vec![right.as_str()], "passes"),
        (routes::LIST, vec![upper.as_str()], "passes"),
        (routes::LIST, vec![], "token 401"),
        (routes::LIST, vec![""], "token 401"),
        (routes::LIST, vec!["Bearer"], "token 401"),
        (routes::LIST, vec![text.as_str()], "token 401"),
        (routes::LIST, vec![wrong.as_str()], "token 401"),
        (routes::LIST, vec![cut], "token 401"),
        (routes::LIST, vec![longer.as_str()], "token 401"),
        (routes::LIST, vec![basic.as_str()], "token 401"),
        (routes::LIST, vec![right.as_str(), right.as_str()], "token 401"),
        (routes::LIST, vec![wrong.as_str(), right.as_str()], "token 401"),
        (routes::METRICS, vec![], "token 401"),
        (routes::METRICS, vec![right.as_str()], "passes"),
        (routes::LIVE, vec![], "passes"),
    ] {
        let authorization = sent.iter().map(|sent| ("authorization", *sent));
        // Under a name too, where a daemon without a token requires another header.
        for host in ["localhost", "rke.example"] {
            let headers: Vec<_> = [("host", host)].into_iter().chain(authorization.clone()).collect();
            assert_eq!(gate.verdict(route, &headers), expected, "{} under {host}", route.path);
        }
    }
    let (_, response) = gate.decide(routes::LIST, &request(routes::LIST, routes::LIST.path, &[HOST]));
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"rke\"");
}

#[test]
fn under_a_name_over_plain_http_a_request_shows_that_no_page_of_another_site_has_made_it() {
    let (local, name, header) = (HOST, ("host", "rke.example"), "x-rke-request");
    for (way, route, headers, expected) in [
        (Way::Tcp, routes::LIST, vec![name], "header 403"),
        (Way::Tcp, routes::LIST, vec![("host", "192.0.2.7:8080")], "header 403"),
        (Way::Tcp, routes::LIST, vec![name, (header, "1")], "passes"),
        (Way::Tcp, routes::LIST, vec![name, (header, "")], "header 403"),
        (Way::Tcp, routes::LIST, vec![name, (header, "0")], "header 403"),
        (Way::Tcp, routes::LIST, vec![name, (header, "1"), (header, "1")], "header 403"),
        (Way::Tcp, routes::LIVE, vec![name], "passes"),
        (Way::Tcp, routes::METRICS, vec![name], "passes"),
        (Way::Tcp, routes::LIST, vec![local], "passes"),
        (Way::Tls, routes::LIST, vec![name], "passes"),
        (Way::Unix, routes::LIST, vec![name], "passes"),
        (Way::Unix, routes::LIST, vec![], "passes"),
    ] {
        let verdict = Gate::new(way, &named()).verdict(route, &headers);
        assert_eq!(verdict, expected, "{way:?} {} {headers:?}", route.path);
    }
}

#[test]
fn the_probes_of_the_doctor_are_refused_and_not_counted() {
    let (token, _) = token();
    let gate = Gate::wanting(Some(token), Way::Tcp, &Access::default());
    let (host, origin) = (("host", probe::HOST), ("origin", probe::ORIGIN));
    let authorization = ("authorization", probe::AUTHORIZATION);
    for (headers, expected, counted) in [
        (vec![host], "host 421", 0),
        (vec![HOST, origin], "origin 403", 0),
        (vec![HOST, authorization], "token 401", 0),
        // What the rule refuses has to be the probe itself.
        (vec![("host", "evil.test"), origin, authorization], "host 421", 1),
        (vec![HOST, ("origin", "https://evil.test"), authorization], "origin 403", 2),
        (vec![host, ("host", "evil.test")], "host 400", 3),
        (vec![HOST, origin, origin], "origin 403", 4),
        (vec![HOST, ("referer", probe::ORIGIN)], "origin 403", 5),
        (vec![HOST], "token 401", 6),
        (vec![HOST, authorization, authorization], "token 401", 7),
    ] {
        assert_eq!(gate.verdict(routes::LIST, &headers), expected, "{headers:?}");
        assert_eq!(gate.admission.refusals().all().total(), counted, "{headers:?}");
    }
}
