//! The parameters of the API, each described once.

use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::examples;
use crate::http::api::schema;

/// A parameter with its schema's description.
fn parameter(place: ParameterIn, name: &str, mut schema: Object, example: &str) -> ParameterBuilder {
    let about = schema.description.take();
    let parameter = ParameterBuilder::new().parameter_in(place).name(name).description(about);
    parameter.schema(Some(schema)).example(Some(example.into()))
}

fn query(name: &str, schema: Object, example: &str) -> ParameterBuilder {
    parameter(ParameterIn::Query, name, schema, example).required(Required::True)
}

/// A query parameter that may not be empty.
fn filled(name: &str, mut schema: Object, example: &str) -> Parameter {
    schema.min_length = Some(1);
    query(name, schema, example).build()
}

fn header(name: &str, schema: Object, about: &str, example: &str) -> Parameter {
    let header = parameter(ParameterIn::Header, name, schema, example);
    header.required(Required::False).description(Some(about)).build()
}

fn flag(name: &str, about: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into()));
    let flag = ParameterBuilder::new().parameter_in(ParameterIn::Query).name(name).description(Some(about));
    flag.schema(Some(schema)).required(Required::False).build()
}

pub(super) fn domain() -> Parameter {
    query("domain", schema::domain(), examples::DOMAIN).build()
}

pub(super) fn domain_to_narrow(about: &str) -> Parameter {
    let domain = query("domain", schema::domain(), examples::DOMAIN);
    domain.description(Some(about)).required(Required::False).build()
}

pub(super) fn wallet_path() -> Parameter {
    query("wallet_path", schema::wallet_path(), examples::WALLET).build()
}

pub(super) fn fresh() -> Parameter {
    flag("fresh", "`true` asks the RAIDAs even if the cache would do.")
}

pub(super) fn forget(about: &str) -> Parameter {
    flag("forget", about)
}

pub(super) fn verify() -> Parameter {
    let about = "`true` makes the daemon scan all of its memory for the key after the wipe, and adds a last field `wipe`.";
    flag("verify", about)
}

pub(super) fn everywhere() -> Parameter {
    let about = "`true` waits up to five seconds for the Content Server to prove that it wiped the key too, and adds a last \
                 field `remote`.";
    flag("everywhere", about)
}

pub(super) fn session_id() -> Parameter {
    query("session_id", schema::session_id(), examples::SESSION).build()
}

pub(super) fn session_in_path() -> Parameter {
    let id = parameter(ParameterIn::Path, "id", schema::session_id(), examples::SESSION);
    id.required(Required::True).build()
}

pub(super) fn plaintext() -> Parameter {
    filled("plaintext", schema::plaintext(), examples::PLAINTEXT)
}

pub(super) fn ciphertext() -> Parameter {
    filled("ciphertext", schema::ciphertext(), examples::CIPHERTEXT)
}

pub(super) fn nonce() -> Parameter {
    query("nonce", schema::nonce(), examples::NONCE).build()
}

pub(super) fn session_header() -> Parameter {
    let about = "The session's id. Required with a raw body, ignored with a JSON body.";
    header("X-RKE-Session", schema::session_id(), about, examples::SESSION)
}

pub(super) fn nonce_header() -> Parameter {
    let about = "The nonce that `encrypt` returned. Required with a raw body, ignored with a JSON body.";
    header("X-RKE-Nonce", schema::nonce(), about, examples::NONCE)
}

pub(super) fn associated_data_header(about: &str) -> Parameter {
    let mut schema = schema::associated_data();
    schema.schema_type = Type::String.into();
    header("X-RKE-Associated-Data", schema, about, examples::ASSOCIATED_DATA)
}
