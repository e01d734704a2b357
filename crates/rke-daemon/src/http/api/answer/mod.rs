//! The bodies of successful answers. The order of the fields is part of the interface; what they mean
//! stands beside them, for people and for the OpenAPI document.

mod data;
mod discovery;
mod keys;
mod raidas;
mod sessions;
mod status;

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serializer;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

pub(in crate::http) use self::data::{Decrypted, Encrypted, Opened, Sealed};
pub(in crate::http) use self::discovery::Found;
pub(in crate::http) use self::keys::Keys;
pub(in crate::http) use self::raidas::KnownRaidas;
pub(in crate::http) use self::sessions::{Created, Deleted, DeletedAll, Listed, Renewed, Shown};
pub(in crate::http) use self::status::Status;

/// To the microsecond.
pub(in crate::http) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What `success` can be.
pub(in crate::http) fn success() -> Object {
    let only = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    only.description(Some("Always `true`.")).build()
}

/// An answer of the JSON that `write` writes.
pub(in crate::http) fn json(write: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut written = Vec::new();
    write(&mut written);
    json_written(written)
}

/// An answer of JSON that is written already.
pub(in crate::http) fn json_written(written: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], written).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::body::to_bytes;
    use serde::Serialize;

    use super::*;

    /// Holds what is written by hand against what serde makes of the same.
    pub(in crate::http) async fn check_written<T: IntoResponse + Serialize>(answer: impl Fn() -> T) {
        let mut both = Vec::new();
        for response in [answer().into_response(), Json(answer()).into_response()] {
            let (head, body) = response.into_parts();
            both.push((head.headers, to_bytes(body, 1_000_000).await.expect("a body")));
        }
        assert_eq!(both[0], both[1]);
    }
}
