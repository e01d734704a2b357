//! The texts that the API takes, as schemas: what they look like and what they mean.

use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// A domain name, with or without a final dot.
const DOMAIN: &str = "^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\\.?$";

/// 32 hexadecimal digits.
pub(super) const HEX: &str = "^[0-9a-fA-F]{32}$";

/// Standard Base64, whose unused bits are zero.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

fn text(pattern: &str, about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).description(Some(about))
}

pub(in crate::http) fn domain() -> Object {
    let about =
        "The domain of the Content Server. Upper case becomes lower case, and a final dot is taken off.";
    text(DOMAIN, about).max_length(Some(253)).build()
}

pub(in crate::http) fn wallet_path() -> Object {
    let about = "Absolute path of the wallet folder on the daemon's machine, the one that has `Bank` and `Fracked` in it.";
    text("^/", about).build()
}

pub(in crate::http) fn session_id() -> Object {
    text(HEX, "The session, in upper or lower case.").build()
}

pub(in crate::http) fn nonce() -> Object {
    text(HEX, "The nonce that encrypting gave.").build()
}

pub(in crate::http) fn plaintext() -> Object {
    base64("The data in standard Base64 (RFC 4648 section 4).").build()
}

pub(in crate::http) fn ciphertext() -> Object {
    base64("The encrypted data in standard Base64.").build()
}

pub(in crate::http) fn sealed() -> Object {
    base64("The sealed data in standard Base64.").build()
}

pub(in crate::http) fn associated_data() -> Object {
    let about = "Associated data in standard Base64; none where it is missing.";
    base64(about).schema_type(SchemaType::from_iter([Type::String, Type::Null])).build()
}

fn base64(about: &str) -> ObjectBuilder {
    text(BASE64, about).content_encoding("base64")
}
