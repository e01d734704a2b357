//! Requests that a web page or a hostile program on this machine might send, and the exact responses. Every refusal
//! is the documented JSON, and the session under attack lives on.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rke_host::wallet::coin_files;

use crate::lifetimes::silent_nodes;
use crate::real::{Files, Real, get_with, read_to_end, request_with};
use crate::support::{Answer, DOMAIN, PATIENCE, percent, read_some};

/// Whether the response is a refusal in the documented form, with the headers of every response.
fn is_refusal(answer: &Answer, status: u16) -> bool {
    let (json, header) = (answer.json(), |name| answer.header(name));
    answer.status == status
        && json["error"] == true
        && json["code"] == status
        && json["message"].as_str().is_some_and(|text| !text.is_empty())
        && has_safe_headers(answer)
        && header("content-type") == Some("application/json")
}

fn has_safe_headers(answer: &Answer) -> bool {
    [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("vary", "origin, sec-fetch-site"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ]
    .iter()
    .all(|(name, value)| answer.header(name) == Some(value))
        && answer.header("access-control-allow-credentials").is_none()
        && answer.header("access-control-allow-origin") != Some("*")
}

fn delete(id: &str) -> String {
    format!("/api/rke/session/delete?session_id={id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_name_is_refused_and_gets_no_cors_header() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let target = delete(&id);
    for (host, status) in [
        ("host: evil.example:8080", 421),
        ("host: 127.evil.com", 421),
        ("host: localhost.evil.com", 421),
        ("host: user@localhost", 421),
        ("host: localhost:abc", 421),
        ("host: 0.0.0.0", 421),
        ("host: [::]", 421),
        ("host: 2130706433", 421),
        ("host: 127.1", 421),
        ("host: 0x7f000001", 421),
        ("host: 0", 421),
        ("host: [::ffff:127.0.0.1]", 421),
        ("host: [::ffff:7f00:1]:8080", 421),
        ("host: [::127.0.0.1]", 421),
        ("host: [0:0:0:0:0:0:0:1]", 421),
        ("host: ", 421),
        ("host: evil.example\norigin: http://localhost:3000", 421),
        ("x: 1", 400),
        ("host: localhost\nhost: localhost", 400),
        ("host: localhost\nhost: evil.example", 400),
    ] {
        let answer = real.send(get_with(&target, host));
        assert!(is_refusal(&answer, status), "{host}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{host}");
        assert_eq!(status == 421, answer.body.contains("--allow-host"), "{host}: {answer:?}");
    }
    let elsewhere =
        ["http://evil.example", "http://user@localhost", "http://localhost:81", "https://127.0.0.1"];
    for authority in elsewhere {
        let answer = real.send(get_with(&format!("{authority}{target}"), "host: localhost"));
        assert!(is_refusal(&answer, 421), "{authority}: {answer:?}");
    }
    assert!(real.lives(&id));
    let agreeing = get_with(&format!("http://LOCALHOST{target}"), "host: localhost");
    assert_eq!(real.send(agreeing).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_is_answered_in_the_forms_that_browsers_trust() {
    let real = Real::start(&[]).await;
    for host in ["localhost", "LOCALHOST.:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080"] {
        let answer = real.send(get_with("/api/rke/status", &format!("host: {host}")));
        assert!(answer.status == 200 && has_safe_headers(&answer), "{host}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{host}");
    }
    let ipv6 = Real::start(&["--listen", "[::1]:0"]).await;
    assert_eq!(ipv6.get("/api/rke/status").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_as_a_whole_says_which_methods_there_are() {
    let real = Real::start(&[]).await;
    let answer = real.send(request_with("OPTIONS", "*", "host: localhost"));
    assert_eq!((answer.status, answer.header("allow")), (204, Some("get, head, post, delete, options")));
    assert!(has_safe_headers(&answer) && answer.body.is_empty(), "{answer:?}");
    assert!(is_refusal(&real.send(request_with("GET", "*", "host: localhost")), 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_referer_is_judged_like_an_origin_where_there_is_none() {
    let real = Real::start(&["--allow-origin", "https://app.example"]).await;
    let id = real.create_id();
    let target = delete(&id);
    for referer in [
        "referer: http://evil.example/",
        "referer: http://evil.example",
        "referer: https://evil.example/a?b=http://localhost/",
        "referer: http://localhost.evil.example/",
        "referer: http://localhost@evil.example/",
        "referer: http://[::ffff:7f00:1]:8080/",
        "referer: android-app://com.example/",
        "referer: /relative",
        "referer: \u{fffd}",
        "referer: http://localhost/\nreferer: http://evil.example/",
    ] {
        for target in [target.as_str(), "/api/rke/sessions"] {
            let answer = real.send(get_with(target, &format!("host: localhost\n{referer}")));
            assert!(
                is_refusal(&answer, 403) && answer.body.contains("--allow-origin"),
                "{referer}: {answer:?}"
            );
        }
        let page = real.send(get_with("/", &format!("host: localhost\n{referer}")));
        assert_eq!(page.status, 200, "a link to the console works: {referer}");
    }
    assert!(real.lives(&id));
    let last = &real.get("/api/rke/refusals").json()["last"];
    assert_eq!(last["origin"], "http://localhost", "{last}");
    for referer in ["http://localhost:3000/page", "https://app.example/", "http://localhost/docs"] {
        let headers = format!("host: localhost\nreferer: {referer}");
        assert_eq!(real.send(get_with("/api/rke/sessions", &headers)).status, 200, "{referer}");
    }
    // A request that names an origin is judged by the origin alone.
    let both = "host: localhost\norigin: http://localhost:3000\nreferer: http://evil.example/";
    assert_eq!(real.send(get_with("/api/rke/sessions", both)).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_name_without_tls_only_a_header_that_pages_cannot_send_opens_the_api() {
    let real = Real::start(&["--allow-host", "rke.example", "--allow-host", "192.168.1.5"]).await;
    let id = real.create_id();
    let target = delete(&id);
    for host in ["rke.example", "192.168.1.5:8080"] {
        for extra in
            ["", "\nx-rke-request: 0", "\nx-rke-request: 1\nx-rke-request: 1", "\norigin: http://rke.example"]
        {
            for path in
                [target.as_str(), "/api/rke/status", "/api/rke/nothing", "/nothing", "/api/rke/events"]
            {
                let answer = real.send(get_with(path, &format!("host: {host}{extra}")));
                assert!(is_refusal(&answer, 403), "{host} {extra} {path}: {answer:?}");
                let named =
                    answer.body.contains("X-RKE-Request: 1") || answer.body.contains("--allow-origin");
                assert!(named, "{answer:?}");
            }
        }
        for open in ["/", "/console/main.js", "/docs", "/health/live", "/metrics", "/openapi.json"] {
            assert_eq!(real.send(get_with(open, &format!("host: {host}"))).status, 200, "{open}");
        }
        let with = format!("host: {host}\nx-rke-request: 1");
        assert_eq!(real.send(get_with("/api/rke/status", &with)).status, 200);
    }
    assert!(real.lives(&id));
    // Only origins that pass get permission to send the header.
    let preflight = |origin: &str| {
        let asks = "access-control-request-method: GET\naccess-control-request-headers: x-rke-request";
        let headers = format!("host: rke.example\norigin: {origin}\n{asks}");
        real.send(request_with("OPTIONS", &target, &headers))
    };
    let allowed = preflight("http://localhost:3000");
    let headers = allowed.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
    assert!(allowed.status == 204 && headers.contains("x-rke-request"), "{allowed:?}");
    assert!(is_refusal(&preflight("http://evil.example"), 403));
    let counts = real.get("/api/rke/refusals").json();
    assert!(
        counts["rules"].as_array().is_some_and(|rules| rules
            .iter()
            .any(|rule| rule["rule"] == "header" && rule["count"].as_u64() >= Some(20))),
        "{counts}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_name_the_token_does_what_the_header_does() {
    let real = Real::start(&["--allow-host", "rke.example", "--require-token"]).await;
    let token = std::fs::read_to_string(real.data_dir().join("token")).expect("a token");
    let ask =
        |extra: &str| real.send(get_with("/api/rke/status", &format!("host: rke.example\n{extra}"))).status;
    assert_eq!(ask(&format!("authorization: Bearer {}", token.trim())), 200);
    assert_eq!(ask("x-rke-request: 1"), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_bodies_are_taken_up_to_their_limit() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let chunked = |method: &str, target: &str, body: &str| {
        let kind = "content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close";
        let chunks: String = body.as_bytes().chunks(1000).fold(String::new(), |chunks, part| {
            chunks + &format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part))
        });
        real.send(format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n\r\n{chunks}0\r\n\r\n"))
    };
    let wallet = real.network.wallet().display().to_string();
    let opening = format!(r#"{{"domain":"{DOMAIN}","wallet_path":"{wallet}"}}"#);
    let opened = chunked("POST", "/api/rke/session", &opening);
    assert_eq!(opened.status, 200, "{opened:?}");
    let renewed = chunked("POST", &format!("/api/rke/session/{id}/renew"), "{}");
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(chunked("GET", "/api/rke/status", "").status, 200);
    let full = opening.clone() + &" ".repeat(64 * 1024 - opening.len());
    assert_eq!(chunked("POST", "/api/rke/session", &full).status, 200);
    for (method, target) in
        [("POST", "/api/rke/session"), ("POST", "/api/rke/session/x/renew"), ("GET", "/api/rke/status")]
    {
        let refused = chunked(method, target, &(full.clone() + " "));
        assert!(is_refusal(&refused, 413), "{refused:?}");
    }
    let broken =
        "POST /api/rke/session HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
    assert!(is_refusal(&real.send(broken), 400));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_refused_and_those_of_loopback_are_not() {
    let real = Real::start(&["--allow-origin", "https://app.example"]).await;
    let id = real.create_id();
    let target = delete(&id);
    for origin in [
        "http://evil.example",
        "https://app.example:444",
        "http://app.example",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "null",
        "",
        "http://localhost\norigin: http://localhost",
    ] {
        for fetch in ["", "\nsec-fetch-site: cross-site\nsec-fetch-mode: cors\nsec-fetch-dest: empty"] {
            for method in ["GET", "POST", "DELETE", "OPTIONS"] {
                let headers =
                    format!("host: localhost\norigin: {origin}{fetch}\naccess-control-request-method: GET");
                let answer = real.send(request_with(method, &target, &headers));
                assert!(is_refusal(&answer, 403), "{method} {origin}: {answer:?}");
                assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {origin}");
                let option = if origin == "null" { "--allow-null-origin" } else { "--allow-origin" };
                assert!(answer.body.contains(option), "{answer:?}");
            }
        }
    }
    assert!(real.lives(&id));
    for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1", "https://app.example"] {
        let headers = format!(
            "host: localhost\norigin: {origin}\nsec-fetch-site: cross-site\nsec-fetch-mode: cors\nsec-fetch-dest: empty"
        );
        let answer = real.send(get_with("/api/rke/sessions", &headers));
        assert!(answer.status == 200 && has_safe_headers(&answer), "{origin}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let refused = real.send(get_with("/api/rke/nothing", &headers));
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (404, Some(origin)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_before_anything_is_looked_up() {
    let real = Real::start(&["--require-token"]).await;
    let preflight = |more: &str| {
        let headers = format!(
            "host: localhost\norigin: http://localhost:3000\nsec-fetch-site: same-site\nsec-fetch-mode: cors\n\
             access-control-request-method: GET\naccess-control-request-headers: authorization{more}"
        );
        real.send(request_with("OPTIONS", "/api/rke/session/delete?session_id=x", &headers))
    };
    let answer = preflight("");
    assert!(answer.status == 204 && answer.body.is_empty() && has_safe_headers(&answer), "{answer:?}");
    for (name, value) in [
        ("access-control-allow-origin", Some("http://localhost:3000")),
        ("access-control-allow-methods", Some("get, head, post, delete")),
        (
            "access-control-allow-headers",
            Some(
                "authorization, content-type, x-rke-request, x-rke-session, x-rke-nonce, x-rke-associated-data",
            ),
        ),
        ("access-control-max-age", Some("600")),
        ("access-control-allow-private-network", None),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let private = preflight("\naccess-control-request-private-network: true");
    assert_eq!(private.header("access-control-allow-private-network"), Some("true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_can_send_without_cors_is_refused_alike_for_any_session() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let elsewhere = "00000000000000000000000000000000";
    for site in ["cross-site", "same-site"] {
        for (mode, dest) in [
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("no-cors", "style"),
            ("navigate", "iframe"),
            ("navigate", "document"),
            ("no-cors", "empty"),
            ("cors", "image"),
            ("cors", "empty"),
            ("websocket", "websocket"),
        ] {
            for path in ["session/delete", "encrypt", "decrypt", "session", "sessions", "nothing"] {
                let ask = |id: &str| {
                    let headers =
                        format!("sec-fetch-site: {site}\nsec-fetch-mode: {mode}\nsec-fetch-dest: {dest}");
                    let target = format!("/api/rke/{path}?session_id={id}&plaintext=YQ==");
                    real.send(get_with(&target, &format!("host: localhost\n{headers}")))
                };
                let (one, other) = (ask(&id), ask(elsewhere));
                assert!(is_refusal(&one, 403), "{site} {mode} {dest} {path}: {one:?}");
                let told = |answer: &Answer| -> Vec<String> {
                    let differs = |line: &str| line.starts_with("date:") || line.starts_with("x-request-id:");
                    answer.head.lines().filter(|line| !differs(line)).map(str::to_owned).collect()
                };
                assert_eq!((told(&one), &one.body), (told(&other), &other.body), "nothing tells them apart");
            }
        }
    }
    let beacon = "host: localhost\norigin: http://localhost:9\nsec-fetch-site: same-site\n\
                  sec-fetch-mode: no-cors\nsec-fetch-dest: empty\ncontent-length: 0";
    assert!(is_refusal(&real.send(request_with("POST", &delete(&id), beacon)), 403));
    for purpose in ["prefetch", "prefetch;prerender"] {
        let headers = format!("host: localhost\nsec-purpose: {purpose}\nsec-fetch-site: none");
        assert!(is_refusal(&real.send(get_with(&delete(&id), &headers)), 403));
    }
    assert!(real.lives(&id));
    let typed = "host: localhost\nsec-fetch-site: none\nsec-fetch-mode: navigate\nsec-fetch-dest: document";
    assert_eq!(real.send(get_with(&delete(&id), typed)).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_deletes_nothing() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let changes = "get, options";
    let changes_or_takes_a_body = "get, post, options";
    for (path, allow) in [
        ("session/delete", changes),
        ("session", changes_or_takes_a_body),
        ("encrypt", changes_or_takes_a_body),
        ("decrypt", changes_or_takes_a_body),
    ] {
        for method in ["HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            if method == "POST" && allow.contains("post") {
                continue;
            }
            let target = format!("/api/rke/{path}?session_id={id}&domain={DOMAIN}&plaintext=YQ==");
            let answer = real.send(request_with(method, &target, "host: localhost"));
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
            assert!(method == "HEAD" || is_refusal(&answer, 405), "{method}: {answer:?}");
        }
    }
    let listed = real.get("/api/rke/sessions").json();
    assert_eq!((&listed["total"], &listed["sessions"][0]["encrypt_count"]), (&1.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_http_gets_one_answer_and_the_connection_ends() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let long = |len: usize| get_with(&format!("/{}", "a".repeat(len)), "host: localhost");
    let flood = |headers: &str, body: &str| {
        let head = format!("POST /api/rke/status HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n");
        head + &body.repeat(100_000)
    };
    let smuggled = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", delete(&id));
    let two_lengths = format!(
        "GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncontent-length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let two_equal_lengths = format!(
        "GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n{smuggled}"
    );
    let length_and_chunked = format!(
        "GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        smuggled.len() + 5
    );
    for (name, request, statuses) in [
        ("an unknown path", get_with("/api/rke/nothing", "host: localhost"), &[404][..]),
        ("50 KiB of URI", long(50 * 1024), &[414]),
        ("200 KiB of URI", long(200 * 1024), &[414, 431]),
        ("2 MiB of URI", long(2 << 20), &[414, 431]),
        ("20 KiB of header", get_with("/", &format!("host: localhost\nx: {}", "a".repeat(20 << 10))), &[431]),
        ("2 MiB of header", get_with("/", &format!("host: localhost\nx: {}", "a".repeat(2 << 20))), &[431]),
        ("a body flood", flood("content-length: 5000000", "0123456789"), &[413]),
        ("a chunked body flood", flood("transfer-encoding: chunked", "a\r\n0123456789\r\n"), &[413]),
        ("no HTTP", "NOT HTTP AT ALL\r\n\r\n".into(), &[400]),
        ("a NUL byte", "GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n".into(), &[400]),
        ("two lengths", two_lengths, &[400]),
        ("two equal lengths", two_equal_lengths, &[400]),
        ("length and chunked", length_and_chunked, &[400]),
        ("CONNECT", request_with("CONNECT", "localhost:8080", "host: localhost:8080"), &[405]),
        ("CONNECT to elsewhere", request_with("CONNECT", "evil.example:443", "host: localhost"), &[421]),
    ] {
        let answer = real.send(request);
        assert!(statuses.iter().any(|status| is_refusal(&answer, *status)), "{name}: {answer:?}");
    }
    let tls_hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03 and so on\r\n\r\n";
    for other_protocol in [&tls_hello[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let answer = real.send_raw(other_protocol);
        assert!(answer.is_empty() || is_refusal(&Answer::parse(&answer), 400), "{answer:?}");
    }
    assert!(real.lives(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_refused_by_name_and_ids_are_escaped() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    for (query, name) in [
        (format!("session_id={id}&session_id=MARKER"), "session_id"),
        ("session_id=MARKER%ff".into(), "session_id"),
        ("session_id=MARKER%00".into(), "session_id"),
        (format!("session_id={id}&verify=MARKER"), "verify"),
    ] {
        let answer = real.get(&format!("/api/rke/session/delete?{query}"));
        assert!(is_refusal(&answer, 400), "{query}: {answer:?}");
        assert!(answer.body.contains(&format!("'{name}'")) && !answer.body.contains("MARKER"), "{answer:?}");
    }
    for id in
        ["\"},{\"x\":\"", "\r\nset-cookie: a=b", "\u{1}\u{1f}\\", "</script><script>", "\u{2028}\u{202e}"]
    {
        let answer = real.get(&delete(&percent(id)));
        assert!(is_refusal(&answer, 404) && answer.json()["session_id"] == id, "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert!(real.lives(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_idle_connections_are_closed_within_ten_seconds() {
    let real = Real::start(&[]).await;
    let start = Instant::now();
    let (idle, mut slow, mut kept) = (real.connect(), real.connect(), real.connect());
    kept.write_all(b"GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    let mut drip = slow.try_clone().expect("the same");
    std::thread::spawn(move || {
        for byte in b"GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\n".iter().cycle() {
            std::thread::sleep(Duration::from_millis(500));
            if drip.write_all(&[*byte]).is_err() {
                break;
            }
        }
    });
    let mut idle_end = idle.try_clone().expect("the same");
    assert_eq!(read_to_end(&mut idle_end), "");
    let answer = Answer::parse(&read_to_end(&mut slow));
    assert!(is_refusal(&answer, 408), "{answer:?}");
    assert_eq!(answer.json()["message"], "The request did not arrive in time");
    assert!(read_to_end(&mut kept).starts_with("HTTP/1.1 200 OK"));
    let took = start.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(50)).contains(&took), "{took:?}");
    assert_eq!(real.get("/api/rke/status").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_and_requests_in_progress_go_on() {
    let mut real = Real::start_with(&[], Files::AtMost(80)).await;
    let listen = "GET /api/rke/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut answered = [0; 12];
    let mut listeners = Vec::new();
    for _ in 0..20 {
        let mut listener = real.connect();
        listener.write_all(listen.as_bytes()).expect("sent");
        listener.read_exact(&mut answered).expect("an answer");
        listeners.push(listener);
    }
    let mut late = real.connect();
    late.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    late.write_all(b"GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    assert!(late.read(&mut [0]).is_err(), "it waits");
    assert!(read_some(&mut listeners[0], &mut [0; 4096]).expect("who is in is answered") > 0);
    listeners.pop();
    late.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    late.read_exact(&mut answered).expect("an answer");
    assert_eq!(&answered, b"HTTP/1.1 200");
    assert!(real.ended().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_exchange_ends_in_time_and_holds_up_no_other_session() {
    let mut real = Real::start(&["--exchange-timeout", "3600"]).await;
    let id = real.create_id();
    let silent = silent_nodes(&mut real).await;
    let target = format!("{}&fresh=true", real.create_target());
    let mut slow = real.connect();
    slow.write_all(get_with(&target, "host: localhost").as_bytes()).expect("sent");
    for _ in 0..20 {
        let encrypted = real.get(&format!("/api/rke/encrypt?session_id={id}&plaintext=YQ=="));
        assert_eq!(encrypted.status, 200, "{encrypted:?}");
    }
    slow.set_nonblocking(true).expect("set");
    assert!(slow.read(&mut [0]).is_err(), "the exchange goes on");
    slow.set_nonblocking(false).expect("set");
    // From here on, nothing listens at the ports of the nodes, so the exchange does not wait for its timeout.
    drop(silent);
    let answer = Answer::parse(&read_to_end(&mut slow));
    assert!(is_refusal(&answer, 503), "{answer:?}");
}

/// Sends a request `times` times on one connection, and returns all responses.
fn repeat(real: &Real, target: &str, times: usize) -> Vec<Answer> {
    let one = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let text = real.send_raw(one.repeat(times - 1) + &get_with(target, "host: localhost"));
    let answers: Vec<Answer> =
        text.split("HTTP/1.1 ").skip(1).map(|text| Answer::parse(&format!("HTTP/1.1 {text}"))).collect();
    assert_eq!(answers.len(), times);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_behind_good_requests_is_told_after_their_answers() {
    let real = Real::start(&[]).await;
    let good = "GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let text = real.send_raw(good.repeat(3) + "NONSENSE\r\n\r\n");
    let answers: Vec<Answer> =
        text.split("HTTP/1.1 ").skip(1).map(|text| Answer::parse(&format!("HTTP/1.1 {text}"))).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200, 400]);
    assert!(is_refusal(&answers[3], 400), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_session_creations_is_held_up_and_nothing_else_is() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    // More than the allowance that comes back while a busy machine takes its time.
    let answers = repeat(&real, "/api/rke/session?domain=x", 2000);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!((1..=1801).contains(&refused.len()), "{}", refused.len());
    assert!(answers[..199].iter().all(|answer| answer.status == 400), "no honest script meets it");
    assert!(
        refused.iter().all(|answer| is_refusal(answer, 429) && answer.header("retry-after") == Some("1"))
    );
    assert!(refused[0].body.contains("Too many sessions are being opened"), "{:?}", refused[0]);
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==");
    assert!(repeat(&real, &encrypt, 1000).iter().all(|answer| answer.status == 200));
    let receipts = repeat(&real, "/api/rke/session/delete?session_id=x&verify=true", 200);
    let refused: Vec<_> = receipts.iter().filter(|answer| answer.status == 429).collect();
    assert!((1..=180).contains(&refused.len()) && refused[0].header("retry-after") == Some("1"));
    assert!(refused[0].body.contains("Too many deletions with verify=true"), "{:?}", refused[0]);
    assert!(receipts[..20].iter().all(|answer| answer.status == 404));
    let headers = "host: localhost\norigin: http://localhost:5";
    let page = real.send(get_with("/api/rke/session/delete?session_id=x&verify=true", headers));
    assert_eq!(page.status, 404, "each origin has an allowance of its own");
    assert_eq!(real.get(&delete(&id)).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_path_cannot_be_used_to_look_around() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().to_str().expect("UTF-8");
    std::os::unix::fs::symlink("/etc", root.path().join("out")).expect("a link");
    let bank = root.path().join("wallet/Bank");
    std::fs::create_dir_all(&bank).expect("a folder");
    std::fs::write(root.path().join("file"), "the content").expect("written");
    let real = Real::start(&["--wallet-root", path]).await;
    let ask =
        |wallet: &str| real.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", percent(wallet)));
    for outside in ["/etc", "/etc/shadow", "/nowhere/at/all", "/", "/dev/zero", "/proc/self/mem"] {
        let answer = ask(outside);
        assert!(is_refusal(&answer, 403) && answer.body.contains("--wallet-root"), "{outside}: {answer:?}");
    }
    for outside in ["out", "out/ssl", "out/nothing", "..", "wallet/../../x"] {
        let answer = ask(&format!("{path}/{outside}"));
        assert!(is_refusal(&answer, 403) && answer.body.contains("--wallet-root"), "{outside}: {answer:?}");
    }
    for inside in ["file", "nothing", "wallet"] {
        let answer = ask(&format!("{path}/{inside}"));
        assert!(is_refusal(&answer, 400) && !answer.body.contains("the content"), "{inside}: {answer:?}");
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bank.join("fifo.bin"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a FIFO");
    for (to, name) in [("/dev/zero", "device.bin"), ("/etc/passwd", "there.bin")] {
        std::os::unix::fs::symlink(to, bank.join(name)).expect("a link");
    }
    let huge = std::fs::File::create(bank.join("huge.bin")).expect("a file");
    huge.set_len(10 << 30).expect("10 GiB of nothing");
    std::fs::write(bank.join("text.bin"), "the content ".repeat(100)).expect("written");
    let answer = ask(&format!("{path}/wallet"));
    assert!(is_refusal(&answer, 400) && !answer.body.contains("the content"), "{answer:?}");
    for name in ["fifo.bin: it is not a regular file", "huge.bin", "text.bin"] {
        assert!(answer.body.contains(name), "{name}: {answer:?}");
    }
    for name in ["device.bin", "there.bin"] {
        let text = format!("{name}: it leads out of the folder that --wallet-root names");
        assert!(answer.body.contains(&text), "{name}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_the_folder_for_wallets_work_as_long_as_they_stay_in_it() {
    let place = tempfile::tempdir().expect("a folder");
    let (root, elsewhere) = (place.path().join("root"), place.path().join("elsewhere"));
    for folder in [root.join("linked"), root.join("out"), elsewhere.join("Bank")] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    let real = Real::start(&["--wallet-root", root.to_str().expect("UTF-8")]).await;
    std::fs::create_dir_all(root.join("coins")).expect("a folder");
    for file in coin_files(&real.network.wallet().join("Bank")) {
        let name = file.file_name().expect("a name");
        for folder in [root.join("coins"), elsewhere.join("Bank")] {
            std::fs::copy(&file, folder.join(name)).expect("copied");
        }
    }
    let ask = |wallet: &std::path::Path| {
        let wallet = percent(wallet.to_str().expect("UTF-8"));
        real.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}"))
    };
    let link =
        |to: &std::path::Path, name: &str| std::os::unix::fs::symlink(to, root.join(name)).expect("a link");
    link(&elsewhere.join("Bank"), "out/Bank");
    let answer = ask(&root.join("out"));
    assert!(is_refusal(&answer, 403) && answer.body.contains("--wallet-root"), "{answer:?}");
    link(&root.join("coins"), "linked/Bank");
    link(std::path::Path::new("linked"), "short");
    for wallet in ["linked", "short"] {
        assert_eq!(ask(&root.join(wallet)).status, 200, "{wallet}");
    }
    std::fs::remove_dir_all(root.join("coins")).expect("removed");
    link(&elsewhere.join("Bank"), "coins");
    let answer = ask(&root.join("linked"));
    assert!(is_refusal(&answer, 403), "also from the cache: {answer:?}");
}
