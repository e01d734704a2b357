use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::*;
use crate::http::message::failure::Failure;

fn lines(outgoing: &Outgoing) -> Vec<String> {
    let text = String::from_utf8_lossy(outgoing.bytes()).into_owned();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn both_ways_of_writing_a_success_write_the_same() {
    let (mut quick, mut any) = (Outgoing::new(), Outgoing::new());
    quick.body().extend_from_slice(b"{}");
    let at = Moment::now();
    quick.add_success(at, b"the-id");
    let mut response = ([(header::CONTENT_TYPE, "application/json")], "{}").into_response();
    headers::complete(&mut response);
    response.headers_mut().insert("x-request-id", HeaderValue::from_static("the-id"));
    // A new second may begin between the two.
    any.date = std::mem::take(&mut quick.date);
    assert!(any.add(at, response));
    assert_eq!(lines(&quick), lines(&any));
    let date = lines(&quick).into_iter().find(|line| line.starts_with("date: ")).expect("a date");
    assert!(date.ends_with(" GMT") && date.len() == "date: Sun, 06 Nov 1994 08:49:37 GMT".len(), "{date}");
}

#[test]
fn an_answer_may_end_the_connection() {
    let mut outgoing = Outgoing::new();
    let failure = Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too much").closing();
    assert!(!outgoing.add(Moment::now(), failure.into_response()));
    let lines = lines(&outgoing);
    assert!(lines.iter().any(|line| line == "HTTP/1.1 413 Payload Too Large"), "{lines:?}");
}
