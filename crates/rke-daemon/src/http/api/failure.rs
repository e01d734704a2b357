//! Every answer that is an error: `error`, `message`, `code`, then the parameter that the message
//! is about. Here errors of the daemon turn into HTTP, once. `docs/api.md`, "Errors".

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rke_engine::discovery::DiscoveryError;
use rke_engine::exchange::ExchangeError;
use rke_engine::guardians::RefreshError;
use rke_engine::sessions::{CryptError, DeleteError, OpenError};
use rke_engine::store::KeyError;
use rke_engine::streams::StreamError;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// An error answer.
#[derive(Debug)]
pub(in crate::http) struct Failure {
    status: StatusCode,
    message: String,
    fields: Vec<(&'static str, Value)>,
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
}

impl Failure {
    /// An error with nothing but its message.
    pub(in crate::http) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), fields: Vec::new(), header: None }
    }

    /// The same with another last field in the body.
    pub(in crate::http) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// 400 for a parameter that is not there, or empty.
    pub(in crate::http) fn missing(parameter: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Missing '{parameter}' parameter"))
    }

    /// 400 for a parameter that is not what it should be.
    pub(in crate::http) fn invalid(parameter: &str, expected: &str) -> Self {
        let message = format!("Missing or invalid '{parameter}' parameter ({expected})");
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 where a parameter is none of those that there are. What it was called is not repeated.
    pub(in crate::http) fn unknown_parameter(known: &[&str]) -> Self {
        let message = format!("Unknown parameter; there are only: {}", known.join(", "));
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a nonce, with one documented message for a missing and for a malformed one.
    pub(in crate::http) fn nonce() -> Self {
        Self::invalid("nonce", "32 hex chars")
    }

    /// 400 for a header that is not there, or empty.
    pub(in crate::http) fn missing_header(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Missing '{name}' header"))
    }

    /// 400 for a header that is not what it should be.
    pub(in crate::http) fn invalid_header(name: &str, expected: &str) -> Self {
        let message = format!("Missing or invalid '{name}' header ({expected})");
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a body that ended before its end.
    pub(in crate::http) fn broken_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The request's body broke off; send it again").closing()
    }

    /// 400 for data that is not Base64.
    pub(in crate::http) fn base64() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid base64 encoding")
    }

    /// 404 for a session that is not there, with the id as it was given.
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

    /// 500, which tells nothing.
    pub(in crate::http) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error; the daemon's log says more")
    }

    /// A discovery that failed.
    pub(in crate::http) fn discovery(error: &DiscoveryError, domain: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, format!("DNS discovery failed: {error}")).with("domain", domain)
    }

    /// A session that was not opened.
    pub(in crate::http) fn open(error: &OpenError, domain: &str, wallet: &str) -> Self {
        match error {
            OpenError::Exchange(error) => Self::exchange(error, domain, wallet),
            OpenError::StillRunning(_) | OpenError::CalledOff => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).with("domain", domain)
            }
            OpenError::Full(full) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, full.to_string()).retry_after(full.retry_after)
            }
        }
    }

    /// An exchange that made no key.
    fn exchange(error: &ExchangeError, domain: &str, wallet: &str) -> Self {
        let message = error.to_string();
        match error {
            ExchangeError::Wallet(_) => {
                Self::new(StatusCode::BAD_REQUEST, message).with("wallet_path", wallet)
            }
            ExchangeError::WalletOutside => {
                Self::new(StatusCode::FORBIDDEN, message).with("wallet_path", wallet)
            }
            ExchangeError::Discovery(error) => Self::discovery(error, domain),
            ExchangeError::WeakShares { .. } => {
                Self::new(StatusCode::FORBIDDEN, message).with("domain", domain)
            }
            ExchangeError::TooFewAnswered { answered, faults, .. } => {
                let faults: Vec<Value> = faults
                    .iter()
                    .map(|(raida, fault)| json!({"raida": raida.get(), "fault": fault.to_string()}))
                    .collect();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
                    .with("answered", answered.clone())
                    .with("faults", faults)
            }
            ExchangeError::Untrusted(_) => Self::new(StatusCode::FORBIDDEN, message).with("domain", domain),
            ExchangeError::TooFewRight { .. }
            | ExchangeError::NoSetRight { .. }
            | ExchangeError::ContentServer { .. }
            | ExchangeError::Unconfirmed(_) => {
                Self::new(StatusCode::BAD_GATEWAY, message).with("domain", domain)
            }
            ExchangeError::Crowded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message).with("domain", domain)
            }
            ExchangeError::Machine(error) => {
                tracing::error!(%error, "an exchange could not run");
                Self::internal()
            }
        }
    }

    /// Guardians that do not agree, or are not there.
    pub(in crate::http) fn refresh(error: &RefreshError) -> Self {
        let status = match error {
            RefreshError::NoGuardians => StatusCode::NOT_FOUND,
            RefreshError::NoAgreement { .. } => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }

    /// A key that cannot be used.
    pub(in crate::http) fn key(error: KeyError, id: &str) -> Self {
        let status = match error {
            KeyError::NotFound => StatusCode::NOT_FOUND,
            KeyError::UsedUp(_) => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string()).with("session_id", id)
    }

    /// Data that could not be encrypted.
    pub(in crate::http) fn crypt(error: &CryptError, id: &str) -> Self {
        match error {
            CryptError::Key(error) => Self::key(*error, id),
            CryptError::Random(_) => {
                tracing::error!(%error, "cannot encrypt");
                Self::internal()
            }
        }
    }

    /// A stream that could not begin, or data that could not be worked on.
    pub(in crate::http) fn stream(error: &StreamError, id: &str) -> Self {
        match error {
            StreamError::Key(error) => Self::key(*error, id),
            StreamError::Open(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            StreamError::Seal(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            StreamError::Random(_) => {
                tracing::error!(%error, "cannot encrypt");
                Self::internal()
            }
        }
    }

    /// Sessions that could not be deleted as asked, or keys that could not be forgotten.
    pub(in crate::http) fn delete_all(error: &DeleteError) -> Self {
        tracing::error!(%error, "a deletion did not do all that was asked");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// A session that could not be deleted as asked.
    pub(in crate::http) fn delete(error: &DeleteError, id: &str) -> Self {
        let message = error.to_string();
        match error {
            DeleteError::NotFound => Self::session(&message, id),
            DeleteError::Cache(_) | DeleteError::Look(_) => {
                tracing::error!(%error, "a deletion did not do all that was asked");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message).with("session_id", id)
            }
        }
    }

    /// The same with the seconds after which it is worth to try again.
    pub(in crate::http) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// The same, and the connection ends.
    pub(in crate::http) fn closing(self) -> Self {
        self.with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The same, and says that a token is wanted.
    pub(in crate::http) fn challenging(self) -> Self {
        self.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rke\""))
    }

    fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// The body's bytes, for answers that are written without axum.
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
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The answer where a handler panicked. The panic's text may hold anything, so it stays out.
pub(in crate::http) fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked: this is a bug in rke");
    Failure::internal().into_response()
}
