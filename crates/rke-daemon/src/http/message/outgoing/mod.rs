//! Responses that are sent without hyper. They have the same head that hyper would write, and wait as bytes until
//! the client has no further request ready.

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

/// How many bytes may wait.
const MOST: usize = 64 * 1024;

/// The responses on one connection.
pub(in crate::http) struct Outgoing {
    bytes: Vec<u8>,
    /// The body of the next success.
    body: Vec<u8>,
    /// The head of a success, up to the length of its body.
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

    /// The bytes that wait.
    pub(in crate::http) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the waiting bytes should be sent before more are added.
    pub(in crate::http) fn is_full(&self) -> bool {
        self.bytes.len() >= MOST
    }

    /// Discards the waiting bytes, once they are sent.
    pub(in crate::http) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The buffer for the JSON of the next success. Its memory is reused.
    pub(in crate::http) fn body(&mut self) -> &mut Vec<u8> {
        self.body.clear();
        &mut self.body
    }

    /// Takes the JSON out of the buffer.
    pub(in crate::http) fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Adds a success with the JSON from the buffer. `at` is the current time. Only for clients that are not pages.
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

    /// Adds any response whose body is in memory. `at` is the current time. Returns whether the connection
    /// continues.
    pub(in crate::http) fn add(&mut self, at: Moment, response: Response) -> bool {
        let (head, body) = response.into_parts();
        // A body in memory cannot fail and is ready at once.
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

/// The `Date` of a response, formatted once a second.
#[derive(Default)]
struct Date {
    text: String,
    /// When the second ends that `text` shows.
    until: Option<Moment>,
}

impl Date {
    /// The text for the current time, `at`.
    fn text(&mut self, at: Moment) -> &[u8] {
        if self.until.is_none_or(|until| until <= at) {
            let now = Timestamp::now();
            let passed = Duration::from_nanos(now.subsec_nanosecond().unsigned_abs().into());
            self.until = Some(at.after(Duration::from_secs(1).saturating_sub(passed)));
            // This cannot fail: every time that a clock shows has a year of four digits.
            self.text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests;
