use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::Extensions;
use axum::response::Response;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::http::gate::crowd::Crowd;
use crate::http::traffic;

const OWN: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

struct Pair {
    client: DuplexStream,
    server: HyperIo<DuplexStream>,
    body_timeout: BodyTimeout,
    tracker: ResponseTracker,
}

fn pair(lead: &str, given: Given) -> Pair {
    let (client, server) = duplex(10_000);
    let (body_timeout, tracker) =
        (BodyTimeout::new(Duration::from_secs(60)), ResponseTracker::new(Crowd::new(1).enter()));
    let observer = Arc::new(Observer::new(Arc::new(traffic())));
    let server = HyperIo::new(server, lead.into(), given, body_timeout.clone(), tracker.clone(), observer);
    Pair { client, server, body_timeout, tracker }
}

/// Everything that the client receives.
async fn got(mut pair: Pair) -> String {
    pair.server.shutdown().await.expect("shut");
    drop(pair.server);
    let mut got = String::new();
    pair.client.read_to_string(&mut got).await.expect("read");
    got
}

#[tokio::test]
async fn hypers_own_answer_becomes_json_with_the_name_of_the_request() {
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut pair = pair("", Given::Connection);
        pair.server.write_all(OWN.as_bytes()).await.expect("written");
        let got = got(pair).await;
        let (head, body) = got.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"), "{head}");
        assert_eq!(body, r#"{"error":true,"message":"The request is not valid HTTP/1.1","code":400}"#);
        let name = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("a name");
        names.push(name.to_owned());
    }
    assert!(names[0] != names[1] && names[0].len() == 19, "{names:?}");
}

#[tokio::test]
async fn all_other_answers_go_out_as_they_are() {
    let ours = "HTTP/1.1 404 Not Found\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n{}";
    let without_body = "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
    for written in [ours, without_body] {
        let mut pair = pair("", Given::Connection);
        pair.server.write_all(written.as_bytes()).await.expect("written");
        assert_eq!(got(pair).await, written);
    }
}

#[tokio::test]
async fn a_body_that_looks_like_one_is_left_alone() {
    let mut pair = pair("", Given::Connection);
    let mut request = Extensions::new();
    request.insert(pair.body_timeout.clone());
    let _watch = BodyTimeout::watch(&request);
    pair.server.write_all(OWN.as_bytes()).await.expect("written");
    assert_eq!(got(pair).await, OWN);
}

/// The bytes that hyper reads now. `None` if it has to wait.
fn reads(server: &mut HyperIo<DuplexStream>) -> Option<String> {
    let mut bytes = vec![0; 100];
    let len = server.read(&mut bytes).now_or_never()?;
    bytes.truncate(len.expect("read"));
    Some(String::from_utf8(bytes).expect("text"))
}

#[tokio::test]
async fn it_is_taken_back_when_the_answer_has_ended_and_is_out() {
    for given in [Given::Single, Given::SingleOfSeveral] {
        let mut pair = pair("one", given);
        assert_eq!(reads(&mut pair.server).as_deref(), Some("one"));
        let answer = pair.tracker.follow(Response::new(Body::from("answer")));
        pair.server.flush().await.expect("flushed");
        assert_eq!(reads(&mut pair.server), None, "the answer has not ended");
        assert!(!answer.body().is_end_stream());
        drop(answer);
        assert_eq!(reads(&mut pair.server), None, "the answer is not out");
        pair.server.flush().await.expect("flushed");
        assert_eq!(reads(&mut pair.server).as_deref(), Some(""));
        assert!(pair.server.back().is_ok());
    }
}

#[tokio::test]
async fn what_hyper_has_begun_to_read_it_keeps() {
    let mut pair = pair("one", Given::Single);
    assert_eq!(reads(&mut pair.server).as_deref(), Some("one"));
    let answer = pair.tracker.follow(Response::new(Body::empty()));
    pair.client.write_all(b"two").await.expect("written");
    assert_eq!(reads(&mut pair.server).as_deref(), Some("two"));
    drop(answer);
    pair.server.flush().await.expect("flushed");
    assert_eq!(reads(&mut pair.server), None);
    assert!(pair.server.back().is_err());
}
