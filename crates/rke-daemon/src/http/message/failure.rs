//! Every error response: `error`, `message` and `code`, then the parameter that the message is about.
//! `docs/api.md`, "Errors".

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The message of every 408.
pub(in crate::http) const TOO_LATE: &str = "The request did not arrive in time";

/// An error response.
#[derive(Debug)]
pub(in crate::http) struct Failure {
    status: StatusCode,
    message: String,
    fields: Vec<(&'static str, Value)>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Failure {
    /// An error with only its message.
    pub(in crate::http) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), fields: Vec::new(), headers: Vec::new() }
    }

    /// Its status.
    pub(in crate::http) fn status(&self) -> StatusCode {
        self.status
    }

    /// Its message.
    pub(in crate::http) fn into_message(self) -> String {
        self.message
    }

    /// The same with one more field at the end of the body.
    pub(in crate::http) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// 404 for an unknown path.
    pub(in crate::http) fn no_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "No such path; see docs/api.md")
    }

    /// 400 for a parameter that is missing or empty.
    pub(in crate::http) fn missing(parameter: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Missing '{parameter}' parameter"))
    }

    /// 400 for a parameter that is not what it should be.
    pub(in crate::http) fn invalid(parameter: &str, expected: &str) -> Self {
        let message = format!("Missing or invalid '{parameter}' parameter ({expected})");
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for an unknown parameter. Its name is not repeated.
    pub(in crate::http) fn unknown_parameter(known: &[&str]) -> Self {
        let message = format!("Unknown parameter; this endpoint takes only: {}", known.join(", "));
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a nonce, with the same documented message for a missing and a malformed one.
    pub(in crate::http) fn nonce() -> Self {
        Self::invalid("nonce", "32 hex chars")
    }

    /// 400 for a header that is missing or empty.
    pub(in crate::http) fn missing_header(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Missing '{name}' header"))
    }

    /// 400 for JSON that is sent as another type, as curl does unless told otherwise, and so lacks a header of raw data.
    pub(in crate::http) fn json_as_raw(header: &str) -> Self {
        let advice = "The body looks like JSON: send it with the header Content-Type: application/json";
        Self::new(StatusCode::BAD_REQUEST, format!("Missing '{header}' header. {advice}"))
    }

    /// 400 for a header that is not what it should be.
    pub(in crate::http) fn invalid_header(name: &str, expected: &str) -> Self {
        let message = format!("Missing or invalid '{name}' header ({expected})");
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 408 for a body that did not arrive in time.
    pub(in crate::http) fn too_late() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, TOO_LATE).closing()
    }

    /// 400 for a body that broke off.
    pub(in crate::http) fn broken_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The request's body broke off; send it again").closing()
    }

    /// 400 for a body whose chunks do not have the form that HTTP/1.1 gives them.
    pub(in crate::http) fn malformed_body() -> Self {
        let message = "The request's body is malformed: its chunks are not in HTTP/1.1's chunked encoding";
        Self::new(StatusCode::BAD_REQUEST, message).closing()
    }

    /// 400 for data that is not Base64.
    pub(in crate::http) fn base64() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid base64 encoding")
    }

    /// 404 for a session that does not exist, with the id as it was given.
    pub(in crate::http) fn session(message: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message).with("session_id", id)
    }

    /// 405 with the methods that are allowed.
    pub(in crate::http) fn method(allow: &str) -> Self {
        let message = format!("Method not allowed; use one of: {allow}");
        let failure = Self::new(StatusCode::METHOD_NOT_ALLOWED, message);
        match HeaderValue::from_str(allow) {
            Ok(allow) => failure.with_header(header::ALLOW, allow),
            Err(_) => failure,
        }
    }

    /// 500, without details.
    pub(in crate::http) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error; the log says more")
    }

    /// The same with the number of seconds to wait before another try.
    pub(in crate::http) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// The same, and the connection closes.
    pub(in crate::http) fn closing(self) -> Self {
        self.with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The same, stating that a token is required.
    pub(in crate::http) fn challenging(self) -> Self {
        self.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rke\""))
    }

    fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The bytes of the body, for responses that are written without axum.
    pub(in crate::http) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("error", &true)?;
        body.serialize_entry("message", &self.message)?;
        body.serialize_entry("code", &self.status.as_u16())?;
        for (name, value) in &self.fields {
            body.serialize_entry(name, value)?;
        }
        body.end()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The response after a panic in a handler. The panic's text may contain anything, so it is left out.
pub(in crate::http) fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked: this is a bug in rke");
    Failure::internal().into_response()
}

#[cfg(test)]
mod tests;
