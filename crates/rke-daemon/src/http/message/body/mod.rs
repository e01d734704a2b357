//! The body of a request: its kind according to its `Content-Type`, and how much of it is read into memory.

use std::error::Error;
use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::failure::Failure;

/// The longest JSON body, in bytes.
pub(in crate::http) const MAX_JSON_LEN: u64 = 1024 * 1024;
pub(in crate::http) const JSON_TOO_LARGE: &str =
    "The JSON body is over 1 MiB; send the data as a raw body, which may have any size";

/// The two kinds of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    /// A JSON object that holds the data.
    Json,
    /// The data itself: any other type, and no type.
    Raw,
}

impl Kind {
    /// The kind that the headers name.
    ///
    /// # Errors
    /// 400 if they name two.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        Self::told_by(headers.get_all(header::CONTENT_TYPE).iter().map(HeaderValue::as_bytes))
    }

    /// The kind that these values of the `Content-Type` header name.
    ///
    /// # Errors
    /// As [`Kind::of`].
    pub(in crate::http) fn told_by<'a>(mut types: impl Iterator<Item = &'a [u8]>) -> Result<Self, Failure> {
        let (Some(first), second) = (types.next(), types.next()) else { return Ok(Self::Raw) };
        if second.is_some() {
            return Err(Failure::invalid_header("Content-Type", "given once"));
        }
        let essence = first.split(|byte| *byte == b';').next().unwrap_or_default();
        let is_json = essence.trim_ascii().eq_ignore_ascii_case(b"application/json");
        Ok(if is_json { Self::Json } else { Self::Raw })
    }
}

/// Reads a whole body of at most `limit` bytes. `too_large` is the error message for a longer one.
pub(in crate::http) async fn collect(body: Body, limit: u64, too_large: &str) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, limit as usize).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, too_large).closing()
        } else {
            Incomplete::by(&*error).into()
        }
    })
}

/// Why a body has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum Incomplete {
    /// The client sent only part of it.
    #[error("the client hung up in the middle of the body")]
    BrokenOff,
    /// Its chunks cannot be read.
    #[error("the body is malformed: its chunks are not in HTTP/1.1's chunked encoding")]
    Malformed,
}

impl Incomplete {
    /// What hyper's error means. Only the kind of its cause tells a chunk that cannot be read from a connection that broke.
    pub(in crate::http) fn by(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |error| (*error).source());
        let kind = causes.filter_map(|cause| cause.downcast_ref()).map(io::Error::kind).next();
        match kind {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Malformed,
            _ => Self::BrokenOff,
        }
    }
}

impl From<Incomplete> for Failure {
    fn from(incomplete: Incomplete) -> Self {
        match incomplete {
            Incomplete::BrokenOff => Self::broken_body(),
            Incomplete::Malformed => Self::malformed_body(),
        }
    }
}

#[cfg(test)]
mod tests;
