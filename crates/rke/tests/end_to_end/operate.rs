//! What operators see of a running daemon: health, metrics, request ids, and log lines about requests.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;
use serde_json::Value;

use crate::everywhere::until;
use crate::lifetimes::silent_nodes;
use crate::monitoring::metrics::{Metrics, OPENMETRICS, TEXT, assert_documented};
use crate::real::{Real, get_with, read_to_end, request_with};
use crate::support::{Answer, DOMAIN, again_blocking};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_needs_no_token_and_says_what_is_wrong() {
    let real = Real::start(&["--require-token"]).await;
    let live = real.get("/health/live");
    assert_eq!((live.status, live.body.as_str()), (200, r#"{"status":"live"}"#));
    let ready = real.get("/health/ready");
    assert_eq!((ready.status, ready.body.as_str()), (200, r#"{"status":"ready"}"#));
    assert_eq!(real.send(request_with("HEAD", "/health/ready", "host: localhost")).status, 200);
    for path in ["/metrics", "/health", "/health/", "/api/rke/status"] {
        assert!(matches!(real.get(path).status, 401 | 404), "{path}");
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(real.send(get_with(path, "host: evil.example")).status, 421);
        assert_eq!(real.send(get_with(path, "host: localhost\norigin: https://evil.example")).status, 403);
        assert_eq!(real.send(request_with("POST", path, "host: localhost")).status, 405);
    }
    let elsewhere = real.dir.path().join("elsewhere");
    fs::rename(real.data_dir(), &elsewhere).expect("moved");
    let unready = real.get("/health/ready");
    let reason = "the data directory cannot be written";
    let body = format!(
        r#"{{"error":true,"message":"The daemon is not ready: {reason}","code":503,"reasons":["{reason}"]}}"#
    );
    assert_eq!((unready.status, &unready.body), (503, &body));
    assert_eq!(real.get("/health/live").status, 200);
    fs::rename(elsewhere, real.data_dir()).expect("moved back");
    assert_eq!(real.get("/health/ready").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_ready_and_a_stopping_daemon_is_not() {
    let mut real = Real::start(&["--max-sessions", "1"]).await;
    real.create_id();
    assert_eq!(real.get(&real.create_target()).status, 429);
    assert_eq!(real.get("/health/ready").status, 200);
    // A stopping daemon waits only briefly for a request that has begun.
    let text = again_blocking(|| {
        let mut begun = real.connect();
        begun.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n").expect("sent");
        std::thread::sleep(Duration::from_millis(100));
        real.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(100));
        let _ = begun.write_all(b"\r\n");
        let text = read_to_end(&mut begun);
        until("it ends", || real.ended().is_some());
        if text.contains(" 503 ") {
            return Ok(text);
        }
        real.kill_and_restart(&[]);
        Err(text)
    });
    assert_eq!(Answer::parse(&text).json()["reasons"][0], "it is stopping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_happens_and_are_those_that_are_documented() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    for _ in 0..3 {
        assert_eq!(real.get(&format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==")).status, 200);
    }
    real.get(&format!("/api/rke/session/{id}"));
    real.get("/api/rke/nothing");
    real.get("/api/rke/session?domain=nowhere.test&wallet_path=/nowhere");
    real.send(get_with("/api/rke/status", "host: evil.example"));
    real.send(request_with("BREW", "/api/rke/status", "host: localhost"));
    real.configure("session-idle = 1\n");
    until("it expires", || real.get("/api/rke/status").json()["sessions"]["total"] == 0);
    let answer = real.send(get_with("/metrics", &format!("host: localhost\naccept: {OPENMETRICS}")));
    let metrics = Metrics::read(&answer);
    let requests = |route: &str, method: &str, status: &str| {
        metrics.value("rke_http_requests_total", &[("route", route), ("method", method), ("status", status)])
    };
    assert_eq!(requests("/api/rke/encrypt", "GET", "2xx"), 3.0);
    assert_eq!(requests("/api/rke/session/{id}", "GET", "2xx"), 1.0);
    assert_eq!(requests("/api/rke/session", "GET", "4xx"), 1.0);
    assert_eq!(requests("/api/rke/status", "other", "4xx"), 1.0);
    assert_eq!(requests("none", "GET", "4xx"), 1.0);
    let encrypt = [("route", "/api/rke/encrypt")];
    assert_eq!(metrics.value("rke_http_request_duration_seconds_count", &encrypt), 3.0);
    assert_eq!(metrics.value("rke_wipe_delay_seconds_count", &[]), 1.0);
    assert!(metrics.value("rke_wipe_delay_seconds_sum", &[]) < 60.0);
    let done = [("outcome", "done")];
    assert_eq!(metrics.value("rke_exchange_duration_seconds_count", &done), 1.0);
    assert!(metrics.value("rke_exchange_duration_seconds_sum", &done) < 60.0);
    assert!(metrics.value("rke_connections", &[]) >= 1.0);
    assert_eq!(metrics.value("rke_audit_write_failures_total", &[]), 0.0);
    assert_eq!(metrics.value("rke_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs_f64();
    assert!((now - 600.0..now).contains(&metrics.value("process_start_time_seconds", &[])));
    for secret in [&id, DOMAIN, "nowhere", real.network.wallet().to_str().expect("UTF-8")] {
        assert!(!answer.body.contains(secret), "{secret}: {}", answer.body);
    }
    assert_documented(&metrics, "operations.md", "Metrics");
    let answer = real.get("/metrics");
    assert_eq!(answer.header("content-type"), Some(TEXT));
    let in_text = Metrics::read(&answer);
    assert!(in_text.series().is_superset(&metrics.series()), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_has_an_id_of_its_own_that_its_lines_carry() {
    let real = Real::start(&["--log", "rke_engine=debug,rke_daemon=debug"]).await;
    let id_of = |answer: &Answer| answer.header("x-request-id").expect("an id").to_owned();
    let chosen = real.send(get_with("/api/rke/status", "host: localhost\nx-request-id: mine"));
    let created = real.get(&real.create_target());
    let session = created.json()["session_id"].as_str().expect("an id").to_owned();
    let encrypt = real.get(&format!("/api/rke/encrypt?session_id={session}&plaintext=YQ=="));
    let missing = real.get("/api/rke/session/00");
    let refused = real.send(get_with("/api/rke/status", "host: evil.example"));
    let garbled = real.send("GET /api/rke/status FTP/1\r\n\r\n");
    let unclear = real.send(get_with("/", "host: localhost\ncontent-length: 0\ncontent-length: 0"));
    let all = [&chosen, &created, &encrypt, &missing, &refused, &garbled, &unclear];
    let mut ids: BTreeSet<String> = all.map(id_of).into_iter().collect();
    assert!(!ids.contains("mine"));
    let many = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(999);
    let answers = real.send_raw(many + &get_with("/health/live", "host: localhost"));
    ids.extend(answers.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).map(str::to_owned));
    assert_eq!(ids.len(), 1007);
    // The last of the lines that this test looks at.
    until("all are noted", || real.log().contains(&id_of(&unclear)));
    let log = real.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let opened = lines.iter().find(|line| line["fields"]["message"] == "session opened").expect("a line");
    assert_eq!(opened["span"]["id"], id_of(&created));
    for (answer, level, route) in [
        (&created, "INFO", "/api/rke/session"),
        (&encrypt, "DEBUG", "/api/rke/encrypt"),
        (&missing, "INFO", "/api/rke/session/{id}"),
        (&refused, "DEBUG", "/api/rke/status"),
    ] {
        let mut of_request = lines.iter().filter(|line| line["fields"]["request"] == id_of(answer));
        let line = of_request.next().unwrap_or_else(|| panic!("no line about {route}: {log}"));
        let fields = &line["fields"];
        assert_eq!(
            (&line["level"], &fields["route"], &fields["method"]),
            (&level.into(), &route.into(), &"GET".into())
        );
        assert_eq!((&fields["status"], fields["micros"].is_u64()), (&answer.status.into(), true));
        assert!(of_request.next().is_none());
    }
    for answer in [&garbled, &unclear] {
        let line = lines.iter().find(|line| line["fields"]["request"] == id_of(answer)).expect("a line");
        let told = (&line["level"], &line["fields"]["message"], &line["fields"]["status"]);
        assert_eq!(told, (&"DEBUG".into(), &"unreadable".into(), &400.into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stalls_is_answered_under_the_id_of_its_request() {
    let real = Real::start(&["--body-timeout", "1"]).await;
    let id = real.create_id();
    let of_session = format!("x-rke-session: {id}\r\ncontent-length: 100\r\n\r\n");
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    // A body of JSON, one of data, one of data that is never looked at, and one that should not exist.
    for (method, route, rest) in [
        ("POST", "/api/rke/encrypt", format!("content-type: application/json\r\n{of_session}{{")),
        ("POST", "/api/rke/open", format!("{of_session}RKESEAL")),
        ("POST", "/api/rke/seal", "content-length: 100\r\n\r\n".to_owned()),
        ("DELETE", "/api/rke/session/{id}", chunked.to_owned()),
    ] {
        let path = route.replace("{id}", &id);
        let page = format!("origin: http://localhost:{}", real.port());
        let answer = real.send(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{page}\r\n{rest}"));
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")), "{answer:?}");
        let request = answer.header("x-request-id").expect("an id");
        until("it is noted", || real.log().contains(request));
        let log = real.log();
        let mut lines = log.lines().filter(|line| line.contains(request)).map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["fields"].clone()
        });
        let fields = lines.next().expect("a line");
        assert_eq!(
            (&fields["message"], &fields["status"], &fields["route"]),
            (&"answered".into(), &408.into(), &route.into())
        );
        assert!(lines.next().is_none(), "{log}");
        let labels = [("route", route), ("method", method), ("status", "4xx")];
        assert_eq!(Metrics::read(&real.get("/metrics")).value("rke_http_requests_total", &labels), 1.0);
    }
    assert!(!real.log().contains("abandoned"), "{}", real.log());
    assert!(real.lives(&id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_client_breaks_the_connection_is_noted_too() {
    let mut real = Real::start(&[]).await;
    let silent = silent_nodes(&mut real).await;
    let mut stream = real.connect();
    stream.write_all(get_with(&real.create_target(), "host: localhost").as_bytes()).expect("sent");
    silent[0].recv(&mut [0; 2048]).expect("the exchange has begun");
    // A client that only closes the connection may still read. This resets it.
    set_socket_linger(&stream, Some(Duration::ZERO)).expect("a linger");
    drop(stream);
    until("it is noted", || real.log().contains("abandoned"));
    let labels = [("route", "/api/rke/session"), ("method", "GET"), ("status", "none")];
    let metrics = Metrics::read(&real.get("/metrics"));
    assert_eq!(metrics.value("rke_http_requests_total", &labels), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_while_they_are_open() {
    let real = Real::start(&[]).await;
    let open = || Metrics::read(&real.get("/metrics")).value("rke_connections", &[]);
    let mut crowd: Vec<_> = (0..20).map(|_| real.connect()).collect();
    for stream in &mut crowd {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
        stream.read_exact(&mut [0; 12]).expect("an answer");
    }
    assert!((21.0..25.0).contains(&open()), "{}", open());
    drop(crowd);
    until("the connections are closed", || open() <= 2.0);
}
