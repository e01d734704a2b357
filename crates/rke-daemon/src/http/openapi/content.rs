//! The common parts of the responses in the document: media types and headers.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};

pub(super) const JSON: &str = "application/json";
pub(super) const RAW: &str = "application/octet-stream";

/// A header whose text matches `pattern`.
pub(super) fn header(description: &str, pattern: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}
