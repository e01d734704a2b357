//! The schemas that types cannot express: of the texts that the API takes, and of fields with few values. Only the
//! OpenAPI document uses them, so they are compiled only for tests.

use rke_engine::activity::{How, Kind, OtherEnd};
use rke_engine::model::key_origin::Authenticated;
use rke_engine::remote_deletions::Remote;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// A domain name, with or without a final dot.
const DOMAIN: &str = "^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\\.?$";

/// 32 hexadecimal digits.
pub(in crate::http) const HEX: &str = "^[0-9a-fA-F]{32}$";

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
    let about = "Absolute path, on the daemon's machine, of the wallet folder: the one that contains `Bank` and `Fracked`.";
    text("^/", about).build()
}

pub(in crate::http) fn session_id() -> Object {
    text(HEX, "The session's id, in upper or lower case.").build()
}

pub(in crate::http) fn nonce() -> Object {
    text(HEX, "The nonce that `encrypt` returned.").build()
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
    let about = "Associated data in standard Base64; none if this is missing.";
    base64(about).schema_type(SchemaType::from_iter([Type::String, Type::Null])).build()
}

pub(in crate::http) fn export_label() -> Object {
    let about = "What the key is for: 1 to 255 bytes of UTF-8.";
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    text.min_length(Some(1)).max_length(Some(255)).build()
}

pub(in crate::http) fn export_context() -> Object {
    let about =
        "What else the key is bound to, in standard Base64: at most 65,535 bytes; none if this is missing.";
    base64(about).schema_type(SchemaType::from_iter([Type::String, Type::Null])).build()
}

pub(in crate::http) fn export_length() -> Object {
    let length = ObjectBuilder::new().schema_type(Type::Integer).description(Some("Bytes of the key."));
    length.minimum(Some(16)).maximum(Some(64)).build()
}

/// The schema of `success`.
pub(in crate::http) fn success() -> Object {
    let only = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    only.description(Some("Always `true`.")).build()
}

/// The schema of `authenticated`.
pub(in crate::http) fn authenticated() -> Object {
    let about = "How the two ends authenticate each other: `strong` by 32-byte shares; `weak` by 1-byte shares, with a key of \
                 256 bits; `no` for a session of 8 bits.";
    let kinds = [Authenticated::Strong, Authenticated::Weak, Authenticated::No].map(Authenticated::name);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds)).description(Some(about)).build()
}

/// The schema of `remote`.
pub(in crate::http) fn remote() -> Object {
    let names = [Remote::Forgotten, Remote::Pending, Remote::Unsupported].map(Remote::name);
    let about = "Only with `everywhere=true`: what the Content Server did with its copy of the key. `forgotten`: it has proven \
                 that it wiped the key too. `pending`: there is no proof yet; the daemon keeps asking until the key's lifetime \
                 is over. `unsupported`: this is a session of 8 bits, which has no such message.";
    let remote = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    remote.description(Some(about)).build()
}

/// The schema of `event`.
pub(in crate::http) fn event() -> Object {
    one_of(
        Kind::ALL.map(Kind::name),
        "What happened, by its name in the audit log. Only `session_used_up` is not in the audit log: the key has encrypted as \
         much as one key may.",
    )
}

/// The schema of `how`.
pub(in crate::http) fn how() -> Object {
    one_of(
        How::ALL.map(How::name),
        "Why the session ended: `request`, a request that named it; `request_for_all`, a request that ended several; `expiry`, \
         its time was over or nobody used it; `drop`, everything was dropped by a signal or after a sleep. Its key was wiped \
         from the daemon's memory at the time of the event.",
    )
}

/// The schema of `remote` in a receipt.
pub(in crate::http) fn remote_of_receipt() -> Object {
    one_of(
        OtherEnd::NAMES,
        "The state of the key at the Content Server. `forgotten`: it has proven that it wiped the key too. `pending`: there is \
         no proof yet; the daemon keeps asking. `given_up`: there was none before the key's lifetime was over. `unsupported`: \
         this is a session of 8 bits, which has no such message.",
    )
}

fn one_of<const N: usize>(names: [&str; N], about: &str) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    text.description(Some(about)).build()
}

fn base64(about: &str) -> ObjectBuilder {
    text(BASE64, about).content_encoding("base64")
}
