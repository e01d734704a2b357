//! docs/errors.md against the daemon: every error of the page that a test can provoke occurs, and every error of
//! the daemon is on the page.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use rke_engine::exchange::progress::MAX_WATCHERS;
use rke_proto::RaidaIndex;
use serde_json::json;

use crate::openapi::Document;
use crate::real::{Real, get_with, read_to_end, request_with};
use crate::support::{Answer, DOMAIN};
use crate::wire::post_json;

/// A row of the page: the status, and the message with `…` for the parts that vary.
pub(crate) type DocumentedError = (u16, String);

/// The messages that this file does not provoke, and the test below `crates` that shows each.
const ELSEWHERE: [(&str, &str); 24] = [
    ("The key was not confirmed: …", "rke/tests/end_to_end/weak.rs"),
    ("The RAIDA directory is not refreshed: …", "rke/tests/end_to_end/guardians/live.rs"),
    ("The Content Server has not confirmed this session's key, …", "rke/tests/end_to_end/weak.rs"),
    ("cannot change the known Content Servers in …", "rke-engine/src/trust/tests.rs"),
    ("The request did not arrive in time", "rke/tests/end_to_end/attacks.rs"),
    ("… offers only weak (1-byte) key shares, …", "rke/tests/end_to_end/weak.rs"),
    ("Only … of … required shares are right", "rke/tests/end_to_end/liars.rs"),
    (
        "The Content Server at … refused the shares of …: …",
        "rke/tests/end_to_end/weakly_authenticated/liars.rs",
    ),
    ("Another exchange for … is still running; …", "rke-engine/src/sessions/tests.rs"),
    ("Too many exchanges are running; …", "rke-engine/src/exchange/tests.rs"),
    (
        "All sessions and keys were dropped while this session was opened; …",
        "rke/tests/end_to_end/lifetimes.rs",
    ),
    ("Keys with this label may not be exported; …", "rke/tests/end_to_end/exports.rs"),
    ("This session exports no keys: …", "rke/tests/end_to_end/exports.rs"),
    ("The daemon is not ready: …", "rke/tests/end_to_end/operate.rs"),
    ("Internal error; the log says more", "rke-daemon/src/http/tests.rs"),
    ("Too many sessions are being opened; …", "rke/tests/end_to_end/attacks.rs"),
    ("The store cannot be used at the moment: …", "rke/tests/end_to_end/shared_store/failures.rs"),
    ("The store has a new primary, …", "rke/tests/end_to_end/shared_store/failures.rs"),
    (
        "The store has records that are sealed under a key that is not …",
        "rke/tests/end_to_end/shared_store/starts.rs",
    ),
    (
        "This machine could not confirm in time that the session still exists; try again",
        "rke-daemon/src/http/api/failure/tests.rs",
    ),
    ("A record in the store is damaged, …", "rke-daemon/src/http/api/failure/tests.rs"),
    (
        "This machine's copy of the session ended at this moment. …",
        "rke-daemon/src/http/api/failure/tests.rs",
    ),
    ("… has keys of 8 bits only, …", "rke/tests/end_to_end/weak.rs"),
    ("Too many deletions with verify=true; …", "rke/tests/end_to_end/attacks.rs"),
];

/// The folder of the cached keys in the data directory.
const CACHE: &str = "cache";

pub(crate) fn page() -> Vec<DocumentedError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let text = fs::read_to_string(path).expect("docs/errors.md");
    let rows = text.lines().filter_map(|line| {
        let (code, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
        // The first row of a status has an anchor.
        let code = code.rsplit_once('>').map_or(code, |(_, code)| code);
        Some((code.parse().ok()?, rest.split_once("` | ")?.0.to_owned()))
    });
    rows.collect()
}

/// Whether a message matches a row's pattern: all parts in order, from the start to the end.
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

/// Looks an error up on the page, and removes its row from `missing`.
fn look_up(page: &[DocumentedError], missing: &mut BTreeSet<DocumentedError>, status: u16, message: &str) {
    let found = page.iter().find(|(code, pattern)| *code == status && matches(pattern, message));
    let row = found.unwrap_or_else(|| panic!("docs/errors.md has no row for {status} {message:?}"));
    missing.remove(row);
}

/// Requests over plain sockets, each wrong in its own way.
fn requests(id: &str) -> Vec<Vec<u8>> {
    let get = |target: &str| get_with(target, "host: localhost");
    let with = |headers: &str| get_with("/api/rke/status", headers);
    let long = "x".repeat(50_000);
    let post = |target: &str, headers: &str, body: &str| {
        let head = format!("host: localhost\ncontent-length: {}\n{headers}", body.len());
        request_with("POST", target, head.trim_end()) + body
    };
    let export = |label: &str, context: &str, length: u8| {
        let body = json!({"session_id": id, "label": label, "context": context, "length": length});
        post("/api/rke/export", "content-type: application/json", &body.to_string())
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
        get_with("/api/rke/session/delete?session_id=00", "host: localhost\nsec-purpose: prefetch"),
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
        export(&"x".repeat(256), "", 32),
        export("test", &"YWJj".repeat(22_000), 32),
        export("test", "", 15),
        request_with("DELETE", "/api/rke/sessions?domian=x.test", "host: localhost"),
        request_with("DELETE", "/api/rke/sessions", "host: localhost\ncontent-length: 2") + "{}",
        post("/api/rke/encrypt", "content-type: application/x-www-form-urlencoded", "{}"),
        post("/api/rke/session", "content-encoding: gzip", "compressed"),
        request_with("POST", "/api/rke/session", "host: localhost\ntransfer-encoding: chunked") + "zz\r\n",
        request_with("GET", "/api/rke/status", "host: localhost\ncontent-length: 70000"),
        request_with("GET", "/api/rke/status", "host: localhost\ncontent-length: 0\ncontent-length: 0"),
        get_with("/api/rke/status", "host: localhost\nreferer: https://evil.example/"),
        request_with(
            "POST",
            "/api/rke/seal",
            "host: localhost\ncontent-type: application/json\ncontent-length: 2000000",
        ),
        request_with(
            "POST",
            "/api/rke/seal",
            &format!(
                "host: localhost\nx-rke-session: {id}\nuser-agent: Wget/1.21.3\ncontent-length: 9000000"
            ),
        ),
    ];
    texts.map(String::into_bytes).to_vec()
}

/// The response to a client that stops sending in the middle of a body.
fn break_off(real: &Real) -> Answer {
    let mut stream = real.connect();
    let headers = "host: localhost\ncontent-type: application/json\ncontent-length: 100";
    stream.write_all(request_with("POST", "/api/rke/encrypt", headers).as_bytes()).expect("sent");
    stream.write_all(b"{").expect("sent");
    stream.shutdown(Shutdown::Write).expect("shut down");
    Answer::parse(&read_to_end(&mut stream))
}

/// The response to one listener more than there may be.
fn listen_once_too_often(real: &Real) -> Answer {
    let listen = get_with("/api/rke/events", "host: localhost");
    let listeners = (0..MAX_WATCHERS).map(|_| {
        let mut listener = real.connect();
        listener.write_all(listen.as_bytes()).expect("sent");
        listener.read_exact(&mut [0; 12]).expect("a response");
        listener
    });
    let _listeners: Vec<TcpStream> = listeners.collect();
    real.send(listen)
}

/// The response to deleting a session whose cached key cannot be removed, because a folder is in its place.
fn delete_with_stuck_key(real: &Real, id: &str) -> Answer {
    let mut files = fs::read_dir(real.data_dir().join(CACHE)).expect("the cache");
    let key = files.next().expect("a cached key").expect("an entry").path();
    fs::remove_file(&key).expect("removed");
    fs::create_dir(&key).expect("a folder in its place");
    let answer = real.get(&format!("/api/rke/session/delete?session_id={id}&forget=true"));
    fs::remove_dir(&key).expect("removed");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_on_the_page_and_the_page_has_no_others() {
    let page = page();
    assert!(page.len() > 40, "{page:?}");
    let mut missing: BTreeSet<DocumentedError> = page.iter().cloned().collect();
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
    seen(&break_off(&real));
    seen(&listen_once_too_often(&real));
    seen(&delete_with_stuck_key(&real, &id));
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
    seen(&guarded.send(get_with("/api/rke/status", "host: localhost\nauthorization: Bearer wrong")));
    let list = post_json(real.address, "session", &json!([])).await;
    look_up(&page, &mut missing, list.status, list.json()["message"].as_str().expect("a message"));
    let missing: BTreeSet<&str> = missing.iter().map(|(_, pattern)| pattern.as_str()).collect();
    assert_eq!(
        missing,
        BTreeSet::from(ELSEWHERE.map(|(row, _)| row)),
        "those that this test does not provoke"
    );
}

/// The longest part of a message that is always the same.
fn fixed_part(pattern: &str) -> &str {
    let parts = pattern.split('…').map(|part| part.trim_matches([' ', ',', ':', ';']));
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

#[test]
fn every_error_that_is_tested_elsewhere_is_in_the_test_that_is_named() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (row, file) in ELSEWHERE {
        let test = fs::read_to_string(crates.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(test.contains(fixed_part(row)), "{file} does not show {row:?}");
    }
}

#[test]
fn patterns_match_from_the_start_to_the_end() {
    assert!(matches("Only … of … required", "Only 9 of 13 required") && matches("a …", "a b c"));
    assert!(!matches("Only … of", "Only 9 of 13") && !matches("a …", "b a") && !matches("a", "ab"));
}
