//! Answers that go out without hyper: the same head that hyper would write, as bytes that wait until the
//! client has no further request at hand.

use std::io::Write;
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::FutureExt;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use rke_engine::model::clock::Moment;

use super::headers;

/// How much may wait.
const MOST: usize = 64 * 1024;

/// Answers to one connection.
pub(in crate::http) struct Outgoing {
    bytes: Vec<u8>,
    /// The body of the next success.
    body: Vec<u8>,
    /// The head of a success up to the length of its body.
    success: String,
    date: Date,
}

impl Outgoing {
    pub(in crate::http) fn new() -> Self {
        let always = headers::lines();
        let success =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{always}content-length: ");
        Self { bytes: Vec::new(), body: Vec::new(), success, date: Date::default() }
    }

    /// What waits.
    pub(in crate::http) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether no more should wait.
    pub(in crate::http) fn is_full(&self) -> bool {
        self.bytes.len() >= MOST
    }

    /// What has waited is out.
    pub(in crate::http) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Where the JSON of the next success is written: its memory is used over and over.
    pub(in crate::http) fn body(&mut self) -> &mut Vec<u8> {
        self.body.clear();
        &mut self.body
    }

    /// Takes what was written there.
    pub(in crate::http) fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Adds a success of now, which is `at`, with the JSON that was written, for who is no page.
    pub(in crate::http) fn add_success(&mut self, at: Moment, request_id: &[u8]) {
        let (out, json) = (&mut self.bytes, self.body.as_slice());
        out.reserve(self.success.len() + json.len() + 128);
        out.extend_from_slice(self.success.as_bytes());
        out.extend_from_slice(itoa::Buffer::new().format(json.len()).as_bytes());
        for part in
            [&b"\r\nx-request-id: "[..], request_id, b"\r\ndate: ", self.date.text(at), b"\r\n\r\n", json]
        {
            out.extend_from_slice(part);
        }
    }

    /// Adds any answer of now, which is `at`, whose body is at hand. Says whether the connection goes on.
    pub(in crate::http) fn add(&mut self, at: Moment, response: Response) -> bool {
        let (head, body) = response.into_parts();
        // A body in memory cannot fail, and nobody waits for it.
        let body = to_bytes(body, usize::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
        let out = &mut self.bytes;
        // Writing to memory does not fail.
        let _ = write!(out, "HTTP/1.1 {}\r\n", head.status);
        for (name, value) in &head.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
        if !head.headers.contains_key(header::CONTENT_LENGTH) {
            let _ = write!(out, "content-length: {}\r\n", body.len());
        }
        for part in [b"date: ", self.date.text(at), b"\r\n\r\n", &body] {
            out.extend_from_slice(part);
        }
        head.headers.get(header::CONNECTION) != Some(&HeaderValue::from_static("close"))
    }
}

/// The time of an answer, written once a second.
#[derive(Default)]
struct Date {
    text: String,
    /// When the second ends that it tells.
    until: Option<Moment>,
}

impl Date {
    /// The text for now, which is `at`.
    fn text(&mut self, at: Moment) -> &[u8] {
        if self.until.is_none_or(|until| until <= at) {
            let now = Timestamp::now();
            let passed = Duration::from_nanos(now.subsec_nanosecond().unsigned_abs().into());
            self.until = Some(at.after(Duration::from_secs(1).saturating_sub(passed)));
            // Every time that a clock can show has a year of four digits.
            self.text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;
    use crate::http::api::failure::Failure;

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
        quick.add_success(Moment::now(), b"the-id");
        let mut response = ([(header::CONTENT_TYPE, "application/json")], "{}").into_response();
        headers::complete(&mut response);
        response.headers_mut().insert("x-request-id", HeaderValue::from_static("the-id"));
        assert!(any.add(Moment::now(), response));
        assert_eq!(lines(&quick), lines(&any));
        let date = lines(&quick).into_iter().find(|line| line.starts_with("date: ")).expect("a date");
        assert!(
            date.ends_with(" GMT") && date.len() == "date: Sun, 06 Nov 1994 08:49:37 GMT".len(),
            "{date}"
        );
    }

    #[test]
    fn an_answer_may_end_the_connection() {
        let mut outgoing = Outgoing::new();
        let failure = Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too much").closing();
        assert!(!outgoing.add(Moment::now(), failure.into_response()));
        let lines = lines(&outgoing);
        assert!(lines.iter().any(|line| line == "HTTP/1.1 413 Payload Too Large"), "{lines:?}");
    }
}
