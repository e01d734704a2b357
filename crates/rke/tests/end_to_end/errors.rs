//! docs/errors.md against the daemon: each error that can be provoked is, what the daemon says is looked
//! up on the page, and what the page says is said by the daemon.

use std::collections::BTreeSet;
use std::fs;

use rke_proto::RaidaIndex;
use serde_json::json;

use crate::openapi::Document;
use crate::real::{Real, get_with, request_with};
use crate::support::{Answer, DOMAIN};
use crate::wire::post_json;

/// A row of the page: status, and the message in parts around what differs.
pub(crate) type Row = (u16, String);

/// Rows that no request from outside can bring about here, and where else they are tested.
const ELSEWHERE: [(&str, &str); 19] = [
    ("The key was not confirmed: …", "weak.rs"),
    ("The RAIDA directory is not refreshed: …", "guardians"),
    ("The Content Server has not confirmed this session's key, …", "weak.rs"),
    ("cannot change the known Content Servers in …", "trust in rke-daemon"),
    ("The request's body broke off; send it again", "bodies.rs"),
    ("Prefetching is refused: …", "attacks.rs"),
    ("The request did not arrive in time", "attacks.rs"),
    ("… offers only weak (1-byte) key shares, …", "weak.rs"),
    ("Only … of … required shares are right", "liars.rs"),
    ("The Content Server at … refused the shares of …: …", "weakly_authenticated/liars.rs"),
    ("Another exchange for … is still running; …", "gate.rs in rke-daemon"),
    ("Too many exchanges are running; …", "udp.rs in rke-host"),
    ("All sessions and keys were dropped while this session was opened; …", "lifetimes.rs"),
    ("The daemon is not ready: …", "operate.rs"),
    ("… pages watch already; close one of them", "progress.rs in rke-daemon"),
    ("Internal error; the daemon's log says more", "http/mod.rs in rke-daemon"),
    ("The session is deleted, but …", "keystore.rs in rke-daemon"),
    ("Too many sessions are opened; …", "attacks.rs"),
    ("Too many deletions with verify=true; …", "attacks.rs"),
];

pub(crate) fn page() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let text = fs::read_to_string(path).expect("docs/errors.md");
    let rows = text.lines().filter_map(|line| {
        let (code, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
        Some((code.parse().ok()?, rest.split_once("` | ")?.0.to_owned()))
    });
    rows.collect()
}

/// Whether the row's pattern is that of the message: its parts in order, from the start to the end.
pub(crate) fn matches(pattern: &str, message: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = message.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for part in &parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || parts.last().is_some_and(|last| last.is_empty())
}

/// Looks an error up, and strikes its row off.
fn look_up(page: &[Row], missing: &mut BTreeSet<Row>, status: u16, message: &str) {
    let found = page.iter().find(|(code, pattern)| *code == status && matches(pattern, message));
    let row = found.unwrap_or_else(|| panic!("docs/errors.md has no row for {status} {message:?}"));
    missing.remove(row);
}

/// Requests over plain sockets that are wrong each in its own way.
fn requests(id: &str) -> Vec<Vec<u8>> {
    let get = |target: &str| get_with(target, "host: localhost");
    let with = |headers: &str| get_with("/api/rke/status", headers);
    let long = "x".repeat(50_000);
    let post = |target: &str, headers: &str, body: &str| {
        let head = format!("host: localhost\ncontent-length: {}\n{headers}", body.len());
        request_with("POST", target, head.trim_end()) + body
    };
    let no_wallet = format!("/api/rke/session?domain={DOMAIN}&wallet_path=relative");
    let outside = format!("/api/rke/session?domain={DOMAIN}&wallet_path=/");
    let texts = [
        get("/api/rke/discover"),
        get("/api/rke/discover?domain=-"),
        get("/api/rke/discover?domain=no.such.test"),
        get(&format!("/api/rke/encrypt?session_id={id}&plaintext=!")),
        get(&no_wallet),
        get(&outside),
        get("/api/rke/session/00"),
        get(&format!("/api/rke/encrypt?session_id={}&plaintext=YQ==", "0".repeat(32))),
        get("/nothing"),
        request_with("POST", "/api/rke/raidas/refresh", "host: localhost"),
        get(&format!("/{long}")),
        get(&format!("/api/rke/session/{id}/renew")),
        "GET / HTTP/1.1\r\n\r\n".into(),
        "hello\r\n\r\n".into(),
        with("host: evil.example"),
        get_with("http://other.example/api/rke/status", "host: localhost"),
        with("host: localhost\norigin: https://evil.example"),
        with("host: localhost\norigin: null"),
        with("host: localhost\nsec-fetch-site: cross-site"),
        with(&format!("host: localhost\nx-long: {}", "x".repeat(17_000))),
        post("/api/rke/encrypt", "content-type: text/plain", ""),
        post(
            "/api/rke/decrypt",
            &format!("content-type: text/plain\nx-rke-session: {id}\nx-rke-nonce: 1"),
            "",
        ),
        post("/api/rke/encrypt", "content-type: application/json", "["),
        post("/api/rke/open", &format!("content-type: text/plain\nx-rke-session: {id}"), "not sealed"),
        request_with("DELETE", "/api/rke/sessions?domian=x.test", "host: localhost"),
        request_with("GET", "/api/rke/status", "host: localhost\ncontent-length: 70000"),
        request_with("GET", "/api/rke/status", "host: localhost\ncontent-length: 0\ncontent-length: 0"),
        get_with("/api/rke/status", "host: localhost\nreferer: https://evil.example/"),
        request_with(
            "POST",
            "/api/rke/seal",
            "host: localhost\ncontent-type: application/json\ncontent-length: 2000000",
        ),
    ];
    texts.map(String::into_bytes).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_on_the_page_and_the_page_has_no_others() {
    let page = page();
    assert!(page.len() > 40, "{page:?}");
    let mut missing: BTreeSet<Row> = page.iter().cloned().collect();
    let document = Document::copy();
    let mut seen = |answer: &Answer| {
        let json = answer.json();
        document.check_error(&json);
        assert_eq!((&json["error"], &json["code"]), (&true.into(), &answer.status.into()), "{json}");
        look_up(&page, &mut missing, answer.status, json["message"].as_str().expect("a message"));
    };
    let wallets = tempfile::tempdir().expect("a folder");
    let root = wallets.path().to_str().expect("UTF-8");
    let confined = Real::start(&["--wallet-root", root]).await;
    for request in requests(&"0".repeat(32)) {
        let text = confined.send_raw(&request);
        if !text.starts_with("HTTP/1.1 2") {
            seen(&Answer::parse(&text));
        }
    }
    let mut real = Real::start(&["--max-sessions", "1", "--key-max-messages", "1"]).await;
    let id = real.create_id();
    for request in requests(&id) {
        let text = real.send_raw(&request);
        if !text.starts_with("HTTP/1.1 2") {
            seen(&Answer::parse(&text));
        }
    }
    seen(&real.get(&real.create_target()));
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==");
    assert_eq!(real.get(&encrypt).status, 200);
    seen(&real.get(&encrypt));
    let tunnel = request_with("POST", &format!("/api/rke/session/{id}/tunnel"), "host: localhost");
    seen(&Answer::parse(&real.send_raw(tunnel.replace("HTTP/1.1", "HTTP/1.0"))));
    real.network.stop_content_server().await;
    seen(&real.send(&tunnel));
    real.network.restart_content_server().await.expect("a Content Server");
    seen(&real.send(&tunnel));
    real.get(&format!("/api/rke/session/delete?session_id={id}&forget=true"));
    real.network.stop_content_server().await;
    seen(&real.get(&real.create_target()));
    let known = real.data_dir().join("known-content-servers");
    for line in ["OTHER wide 2025-11-30T10:00:00Z", "OTHER"] {
        fs::write(&known, format!("{DOMAIN} {line}\n")).expect("written");
        seen(&real.get(&real.create_target()));
    }
    fs::remove_file(&known).expect("removed");
    fs::create_dir(&known).expect("a folder in its place");
    seen(&real.get(&real.create_target()));
    fs::remove_dir(&known).expect("removed");
    for raida in RaidaIndex::all() {
        real.network.stop_node(raida).await;
    }
    seen(&real.get(&real.create_target()));
    let pinned = Real::start(&["--pin", &format!("{DOMAIN}=OTHER")]).await;
    seen(&pinned.get(&pinned.create_target()));
    let named = Real::start(&["--allow-host", "rke.example"]).await;
    seen(&named.send(get_with("/api/rke/status", "host: rke.example")));
    let guarded = Real::start(&["--require-token"]).await;
    seen(&guarded.get("/api/rke/status"));
    let list = post_json(real.address, "session", &json!([])).await;
    look_up(&page, &mut missing, list.status, list.json()["message"].as_str().expect("a message"));
    let elsewhere = |(_, pattern): &Row| ELSEWHERE.iter().any(|(row, _)| row == pattern);
    let missing: Vec<&Row> = missing.iter().filter(|row| !elsewhere(row)).collect();
    assert!(missing.is_empty(), "nothing brings these about: {missing:?}");
}

#[test]
fn patterns_match_from_the_start_to_the_end() {
    assert!(matches("Only … of … required", "Only 9 of 13 required") && matches("a …", "a b c"));
    assert!(!matches("Only … of", "Only 9 of 13") && !matches("a …", "b a") && !matches("a", "ab"));
}
