//! Several requests over one connection: frequent ones and others in turn, together and in pieces. Every
//! answer comes, in the order of the requests.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::real::{Real, read_to_end};
use crate::support::{Answer, read_some};

const HOST: &str = "host: localhost";

/// A request after which the connection goes on.
fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n{headers}\r\n\r\n")
}

fn get_with(target: &str, headers: &str) -> String {
    request("GET", target, headers)
}

/// The bodies of answers that came one after the other.
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

/// Requests of all kinds, and what is in the answers to them.
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
    let real = Real::start(&[]).await;
    let (requests, expected) = mixed(&real.create_id());
    check(&real.send_raw(requests), &expected);
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

/// How long it takes until a client that asks on and on, and takes no answer, loses its connection.
fn loses_after(real: &Real, target: &str) -> Duration {
    let requests = get_with(target, HOST).repeat(500);
    let mut stream = real.connect();
    stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let started = Instant::now();
    while stream.write_all(requests.as_bytes()).is_ok() {}
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_takes_no_answer_loses_the_connection() {
    let real = Real::start(&["--body-timeout", "3"]).await;
    let took = loses_after(&real, "/api/rke/encrypt?session_id=0&plaintext=YQ==");
    assert!(
        (Duration::from_secs(8)..Duration::from_secs(25)).contains(&took),
        "a frequent request: {took:?}"
    );
    let took = loses_after(&real, "/openapi.json");
    assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&took), "another: {took:?}");
}
