//! The bodies of successful answers. The order of the fields is part of the interface; what they mean
//! stands beside them, for people and for the OpenAPI document.

mod data;
mod discovery;
mod keys;
mod raidas;
mod sessions;
mod status;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serializer;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

pub(super) use self::data::{Decrypted, Encrypted, Opened, Sealed};
pub(super) use self::discovery::Found;
pub(super) use self::keys::Keys;
pub(super) use self::raidas::KnownRaidas;
pub(super) use self::sessions::{Created, Deleted, DeletedAll, Listed, Renewed, Shown};
pub(super) use self::status::Status;

/// To the microsecond.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What `success` can be.
pub(super) fn success() -> Object {
    let only = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    only.description(Some("Always `true`.")).build()
}
