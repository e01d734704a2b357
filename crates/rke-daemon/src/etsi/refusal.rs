//! Why a request of an SAE is refused, in the form of the standard's error container.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::delivered::Withheld;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    detail: Option<Value>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), detail: None }
    }

    /// 400: the request is wrong.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a key that does not exist here, or no longer. The standard has no 404 for it.
    pub(super) fn unknown_key() -> Self {
        Self::bad("one or more keys specified are not found on KME")
    }

    /// 401: the SAE is not known, or may not have these keys.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 404 for a path that the standard does not have.
    pub(super) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 405 for a method that a path does not have.
    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "status takes GET, enc_keys and dec_keys take GET and POST")
    }

    /// 408 or 413 for a body that does not end in time, or is too long.
    pub(super) fn body(status: StatusCode, message: &str) -> Self {
        Self::new(status, message)
    }

    /// The gate lets no such request in.
    pub(super) fn gate((status, message): (StatusCode, String)) -> Self {
        Self::new(status, message)
    }

    /// 503: no keys at the moment.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub(super) fn with_detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The standard's error container.
    pub(super) fn to_json(&self) -> String {
        match &self.detail {
            Some(detail) => json!({"message": self.message, "details": [detail]}),
            None => json!({"message": self.message}),
        }
        .to_string()
    }
}

impl From<Withheld> for Refusal {
    fn from(withheld: Withheld) -> Self {
        match withheld {
            Withheld::Repeated => Self::unknown_key(),
            Withheld::MadeHere => Self::bad(
                "this key server has made one of these keys: its slave SAE gets it from the key server at the other end",
            ),
            Withheld::Full => Self::unavailable("the session has no more keys; another one is on its way"),
        }
    }
}
