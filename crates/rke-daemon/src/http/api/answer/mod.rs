//! The bodies of successful responses. The order of the fields is part of the interface. Each field is documented
//! where it is declared, for readers and for the OpenAPI document.

mod data;
mod discovery;
mod exported;
mod keys;
mod raidas;
mod sessions;
mod status;

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serializer;

pub(in crate::http) use self::data::{Decrypted, Encrypted, Opened, Sealed};
pub(in crate::http) use self::discovery::Found;
pub(in crate::http) use self::exported::Exported;
#[cfg(test)]
pub(in crate::http) use self::exported::ExportedForm;
pub(in crate::http) use self::keys::Keys;
pub(in crate::http) use self::raidas::KnownRaidas;
pub(in crate::http) use self::sessions::{
    Created, Deleted, DeletedAll, HeldList, Listed, Renewed, Shown, Wipe,
};
pub(crate) use self::status::EtsiPeerRow;
pub(in crate::http) use self::status::Status;

/// Milliseconds, rounded to the microsecond.
pub(in crate::http) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// A response with the JSON that `write` writes.
pub(in crate::http) fn json(write: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut written = Vec::new();
    write(&mut written);
    json_written(written)
}

/// A response with JSON that is already written.
pub(in crate::http) fn json_written(written: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], written).into_response()
}

#[cfg(test)]
mod tests;
