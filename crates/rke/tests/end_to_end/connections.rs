//! Several requests on one connection: frequent ones and others in turn, together and in pieces. Every response
//! arrives, in the order of the requests.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::everywhere::until;
use crate::real::{Files, Real, read_to_end};
use crate::support::{Answer, PATIENCE, network, percent, read_some};

const HOST: &str = "host: localhost";

/// A request that keeps the connection open.
fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n{headers}\r\n\r\n")
}

fn get_with(target: &str, headers: &str) -> String {
    request("GET", target, headers)
}

/// The bodies of consecutive responses.
fn bodies(text: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut rest = text;
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let answer = Answer::parse(&format!("{head}\r\n\r\n"));
        let len = answer.header("content-length").map_or(0, |len| len.parse().expect("a length"));
        bodies.push(format!("{} {}", answer.status, &after[..len]));
        rest = &after[len..];
    }
    bodies
}

/// Requests of all kinds, and texts in the responses to them.
fn mixed(id: &str) -> (String, Vec<&'static str>) {
    let json = format!(r#"{{"session_id":"{id}","plaintext":"YQ=="}}"#);
    let post = format!("{HOST}\r\ncontent-type: application/json\r\ncontent-length: {}", json.len());
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==");
    let delete = format!("/api/rke/session/delete?session_id={id}");
    let from_page = format!("{HOST}\r\norigin: http://localhost:3000");
    let requests = [
        get_with(&encrypt, HOST),
        get_with("/api/rke/status", HOST),
        get_with(&encrypt, "host: elsewhere.test"),
        get_with(&encrypt, &from_page),
        get_with("/api/rke/sessions", &format!("{HOST}\r\nconnection: keep-alive")),
        get_with("/health/live", HOST),
        get_with(&encrypt, &format!("{HOST}\r\nconnection: keep-alive")),
        request("POST", "/api/rke/encrypt", &post) + &json,
        get_with(&delete, HOST),
        get_with(&delete, &format!("{HOST}\r\nconnection: close")),
    ];
    let expected = vec![
        "200 {\"command\":\"rke_encrypt\"",
        "200 {\"command\":\"rke_status\"",
        "421 {\"error\":true",
        "200 {\"command\":\"rke_encrypt\"",
        "200 {\"command\":\"rke_sessions\"",
        "200 ",
        "200 {\"command\":\"rke_encrypt\"",
        "200 {\"command\":\"rke_encrypt\"",
        "200 {\"command\":\"rke_session_delete\"",
        "404 {\"error\":true",
    ];
    (requests.concat(), expected)
}

fn check(text: &str, expected: &[&str]) {
    let bodies = bodies(text);
    assert_eq!(bodies.len(), expected.len(), "{bodies:#?}");
    for (body, expected) in bodies.iter().zip(expected) {
        assert!(body.starts_with(expected), "{body} and not {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_answered_in_their_order() {
    for flags in [&[][..], &["--no-fast-path"]] {
        let real = Real::start(flags).await;
        let (requests, expected) = mixed(&real.create_id());
        check(&real.send_raw(requests), &expected);
    }
}

/// The common part of two responses to the same request: the header lines in sorted order, and the JSON.
fn in_common(answer: &Answer) -> (Vec<String>, Value) {
    let of_one = |line: &&str| !line.starts_with("date: ") && !line.starts_with("x-request-id: ");
    let mut head: Vec<String> = answer.head.lines().filter(of_one).map(str::to_owned).collect();
    head.sort();
    let mut json = answer.json();
    for random in ["nonce", "ciphertext", "session_id"] {
        if let Some(text) = json.get_mut(random) {
            *text = text.as_str().expect("text").len().into();
        }
    }
    (head, json)
}

/// A daemon's responses to requests of each frequent kind, good and bad.
async fn answers_to_frequent_requests(flags: &[&str]) -> Vec<(Vec<String>, Value)> {
    let real = Real::start(flags).await;
    let id = real.create_id();
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==");
    let encrypted = real.get(&encrypt).json();
    let sent = |name: &str| percent(encrypted[name].as_str().expect(name));
    let (ciphertext, nonce) = (sent("ciphertext"), sent("nonce"));
    let decrypt = format!("/api/rke/decrypt?session_id={id}&ciphertext={ciphertext}&nonce={nonce}");
    assert_eq!(real.get(&decrypt).json()["plaintext"], "YQ==");
    let delete = format!("/api/rke/session/delete?session_id={id}");
    let bad = "/api/rke/encrypt?session_id=0&plaintext=%".into();
    let targets = [&encrypt, &decrypt, &bad, &delete, &delete, &encrypt, &decrypt];
    targets.into_iter().map(|target| in_common(&real.get(target))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fast_path_frequent_requests_are_answered_alike() {
    let routed = answers_to_frequent_requests(&["--no-fast-path"]).await;
    let commands: Vec<_> = routed.iter().map(|(_, json)| json["command"].as_str()).collect();
    let good = [Some("rke_encrypt"), Some("rke_decrypt"), None, Some("rke_session_delete")];
    assert_eq!(commands, [&good[..], &[None; 3]].concat());
    assert_eq!(routed, answers_to_frequent_requests(&[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_come_in_pieces_of_any_size() {
    let real = Real::start(&[]).await;
    for size in [1, 7, 90, 333] {
        let (requests, expected) = mixed(&real.create_id());
        let mut stream = real.connect();
        stream.set_nodelay(true).expect("no delay");
        for piece in requests.as_bytes().chunks(size) {
            stream.write_all(piece).expect("sent");
            std::thread::sleep(Duration::from_micros(200));
        }
        check(&read_to_end(&mut stream), &expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_handed_to_and_fro_without_end() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let mut stream = real.connect();
    let targets = ["/api/rke/status".into(), format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==")];
    for at in 0..200 {
        stream.write_all(get_with(&targets[at % 2], HOST).as_bytes()).expect("sent");
        let mut bytes = vec![0; 16 * 1024];
        let len = read_some(&mut stream, &mut bytes).expect("an answer");
        assert!(
            bytes[..len].starts_with(b"HTTP/1.1 200 OK\r\n"),
            "{}",
            String::from_utf8_lossy(&bytes[..len])
        );
    }
}

/// The date of the response to a request.
fn date(stream: &mut TcpStream, target: &str) -> String {
    stream.write_all(get_with(target, HOST).as_bytes()).expect("sent");
    let mut bytes = vec![0; 16 * 1024];
    let len = read_some(stream, &mut bytes).expect("an answer");
    let answer = Answer::parse(&String::from_utf8_lossy(&bytes[..len]));
    answer.header("date").unwrap_or_else(|| panic!("no date: {answer:?}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_date_goes_on_while_a_connection_is_kept() {
    let real = Real::start(&[]).await;
    let encrypt = format!("/api/rke/encrypt?session_id={}&plaintext=YQ==", real.create_id());
    let mut kept = real.connect();
    let first = date(&mut kept, &encrypt);
    // The responses on the other connection come from hyper, which has its own clock.
    let mut other = real.connect();
    while date(&mut other, "/health/live") == first {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_ne!(date(&mut kept, &encrypt), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_and_forty_eight_connections_are_served_and_the_next_one_waits() {
    const MOST: usize = 2048;
    let files = getrlimit(Resource::Nofile);
    let hard = files.maximum.unwrap_or(u64::MAX);
    assert!(hard >= 4 * MOST as u64, "this test takes a hard limit of 8192 open files: ulimit -Hn");
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("more open files");
    let real = Real::start(&[]).await;
    let id = real.create_id();
    // An idle connection would make room for the next one. Each of these therefore has a request in progress: the
    // daemon waits for its body.
    let raw = format!("{HOST}\r\nx-rke-session: {id}\r\ncontent-length: 4\r\nexpect: 100-continue");
    let begun = request("POST", "/api/rke/seal", &raw);
    let mut served = Vec::new();
    while served.len() < MOST {
        let mut stream = real.connect();
        stream.write_all(begun.as_bytes()).expect("sent");
        let mut wanted = [0; 12];
        stream.read_exact(&mut wanted).expect("an answer");
        assert_eq!(&wanted, b"HTTP/1.1 100");
        served.push(stream);
    }
    let mut waiting = real.connect();
    waiting.write_all(get_with("/health/live", HOST).as_bytes()).expect("sent");
    waiting.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let too_early = read_some(&mut waiting, &mut [0; 1024]);
    assert!(too_early.is_err(), "there is room for more: {too_early:?}");
    waiting.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    served.pop();
    assert!(read_some(&mut waiting, &mut [0; 1024]).is_ok_and(|len| len > 0), "its turn has come");
}

/// How long it takes until a client that keeps sending requests and reads no responses loses its connection.
fn loses_after(real: &Real, target: &str) -> Duration {
    let requests = get_with(target, HOST).repeat(500);
    let mut stream = real.connect();
    stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
    let started = Instant::now();
    while stream.write_all(requests.as_bytes()).is_ok() {}
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_takes_no_answer_loses_the_connection() {
    let real = Real::start(&["--body-timeout", "3"]).await;
    let took = loses_after(&real, "/api/rke/encrypt?session_id=0&plaintext=YQ==");
    assert!((Duration::from_secs(8)..PATIENCE).contains(&took), "a frequent request: {took:?}");
    let took = loses_after(&real, "/openapi.json");
    assert!((Duration::from_secs(2)..PATIENCE).contains(&took), "another: {took:?}");
}

/// The responses to a client that sends everything and closes that direction.
fn half_closed(real: &Real, text: &str) -> String {
    let mut stream = real.connect();
    stream.write_all(text.as_bytes()).expect("sent");
    stream.shutdown(Shutdown::Write).expect("shut down");
    read_to_end(&mut stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_said_everything_may_close_that_direction_and_read_on() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let encrypt = get_with(&format!("/api/rke/encrypt?session_id={id}&plaintext=YQ=="), HOST);
    let json = format!(r#"{{"session_id":"{id}","plaintext":"YQ=="}}"#);
    let post = format!("{HOST}\r\ncontent-type: application/json\r\ncontent-length: {}", json.len());
    let post = request("POST", "/api/rke/encrypt", &post) + &json;
    let raw = format!("{HOST}\r\nx-rke-session: {id}\r\ncontent-length: 4");
    let raw = request("POST", "/api/rke/seal", &raw) + "data";
    // This request waits for 25 nodes and the Content Server.
    let slow = get_with(&format!("{}&fresh=true", real.create_target()), HOST);
    for (name, text, count) in [
        ("a frequent request", encrypt.clone(), 1),
        ("another", get_with("/api/rke/status", HOST), 1),
        ("JSON", post, 1),
        ("raw data", raw, 1),
        ("an exchange", slow.clone(), 1),
        ("several", format!("{encrypt}{slow}{encrypt}"), 3),
    ] {
        let text = half_closed(&real, &text);
        assert_eq!(text.matches("HTTP/1.1 200 ").count(), count, "{name}: {text}");
    }
    assert_eq!(real.get("/api/rke/sessions").json()["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_opened_for_a_client_that_is_gone_is_ended_again() {
    let real = Real::start(&[]).await;
    let opened = || {
        let metrics = real.get("/metrics").body;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("rke_session_creations_total{outcome=\"opened\"} "));
        line.map_or(0, |count| count.parse().expect("a count"))
    };
    for round in 1..=3 {
        let mut stream = real.connect();
        let target = format!("{}&fresh=true", real.create_target());
        stream.write_all(get_with(&target, HOST).as_bytes()).expect("sent");
        drop(stream);
        until("the session is opened, and ended", || {
            opened() == round && real.get("/api/rke/sessions").json()["total"] == 0
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_answer_arrives_whatever_the_client_still_sends() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==");
    let close = format!("{HOST}\r\nconnection: close");
    let more = "x".repeat(300_000);
    for (name, text, status) in [
        ("a frequent request", get_with(&encrypt, &close), 200),
        ("another", get_with("/api/rke/status", &close), 200),
        ("HTTP/1.0", "GET /api/rke/status HTTP/1.0\r\nhost: localhost\r\n\r\n".into(), 200),
        ("an exchange", get_with(&format!("{}&fresh=true", real.create_target()), &close), 200),
        ("a refusal", get_with(&encrypt, "host: elsewhere.test\r\nconnection: close"), 421),
        (
            "a body that is refused",
            request("POST", "/api/rke/seal", &format!("{HOST}\r\ncontent-length: 300000")),
            400,
        ),
        ("a length that is refused", get_with("/", &format!("{HOST}\r\ncontent-length: 300000")), 413),
        ("two lengths", get_with("/", &format!("{HOST}\r\ncontent-length: 0\r\ncontent-length: 0")), 400),
        ("no HTTP", "NOT HTTP\r\n\r\n".into(), 400),
    ] {
        let mut stream = real.connect();
        stream.write_all(text.as_bytes()).expect("sent");
        // The response has been sent, and the daemon is about to close.
        std::thread::sleep(Duration::from_millis(50));
        let _ = stream.write_all(more.as_bytes());
        let text = read_to_end(&mut stream);
        assert_eq!(Answer::parse(&text).status, status, "{name}: {text:?}");
    }
}

/// A limit of descriptors that leaves room for [`MOST`] connections.
const DESCRIPTORS: Files = Files::AtMost(4 * MOST as u32);
const MOST: usize = 60;

/// A daemon with room for only a few connections.
async fn small(flags: &[&str]) -> Real {
    // This process holds the other ends of many more.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("more open files");
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    Real::start_on(dir, network, flags, DESCRIPTORS)
}

/// Sends a request and returns what arrives in the first read.
fn say(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).expect("sent");
    heard(stream)
}

fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let len = read_some(stream, &mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

/// Whether the daemon has closed a connection on which nothing more may arrive.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 16]), Ok(0))
        || matches!(stream.read(&mut [0; 16]), Err(e) if e.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_idle_makes_room_and_a_request_in_progress_does_not() {
    let real = small(&[]).await;
    let live = get_with("/health/live", HOST);
    let mut first = real.connect();
    assert!(say(&mut first, &live).contains(" 200 "));
    let mut listener = real.connect();
    assert!(say(&mut listener, &get_with("/api/rke/events", HOST)).contains(" 200 "));
    let mut crowd = Vec::new();
    let began = Instant::now();
    for at in 0..12 * MOST {
        let mut stream = real.connect();
        // Some send a whole request, some a part of one, some nothing.
        match at % 3 {
            0 => assert!(say(&mut stream, &live).contains(" 200 "), "{at}"),
            1 => stream.write_all(b"GET /health/live HT").expect("sent"),
            _ => (),
        }
        crowd.push(stream);
    }
    // With room only for connections that have been idle for too long, this takes twice that time.
    assert!(began.elapsed() < PATIENCE, "each got in at once: {:?}", began.elapsed());
    assert!(is_closed(&mut first) && is_closed(&mut crowd[0]));
    let mut last = real.connect();
    assert!(say(&mut last, &live).contains(" 200 ") && say(&mut last, &live).contains(" 200 "));
    // The listener's request is still in progress: a sign of life arrives within three seconds.
    assert!(heard(&mut listener).contains(':'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_token_is_wanted_those_without_it_make_room() {
    let real = small(&["--require-token"]).await;
    let token = std::fs::read_to_string(real.data_dir().join("token")).expect("a token");
    let status = get_with("/api/rke/status", &format!("{HOST}\r\nauthorization: Bearer {}", token.trim()));
    let live = get_with("/health/live", HOST);
    let mut known = real.connect();
    assert!(say(&mut known, &status).contains(" 200 "));
    let began = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..12 * MOST {
        crowd.push(real.connect());
        assert!(say(&mut real.connect(), &status).contains(" 200 "));
        assert!(say(&mut known, &status).contains(" 200 "), "who has shown it stays");
    }
    assert!(began.elapsed() < PATIENCE, "each got in at once: {:?}", began.elapsed());
    assert!(say(&mut known, &status).contains(" 200 "), "who has shown it stays");
    drop(crowd);
    // If no connection can be closed to make room, those without the token are closed after their response.
    let mut known: Vec<TcpStream> = Vec::new();
    for _ in 0..MOST / 2 {
        known.push(real.connect());
        let said = known.last_mut().map(|stream| say(stream, &status));
        assert!(said.is_some_and(|said| said.contains(" 200 ")));
    }
    let mut stranger = real.connect();
    let said = say(&mut stranger, &live);
    assert!(said.contains(" 200 ") && said.contains("connection: close"), "{said}");
    assert!(is_closed(&mut stranger));
    assert!(!say(&mut known[0], &status).contains("connection: close"));
}
