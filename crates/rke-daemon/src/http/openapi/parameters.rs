//! The parameters of the API, each described once.

use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::{examples, texts};

/// A parameter that is described as its schema is.
fn parameter(place: ParameterIn, name: &str, mut schema: Object, example: &str) -> ParameterBuilder {
    let about = schema.description.take();
    let parameter = ParameterBuilder::new().parameter_in(place).name(name).description(about);
    parameter.schema(Some(schema)).example(Some(example.into()))
}

fn query(name: &str, schema: Object, example: &str) -> ParameterBuilder {
    parameter(ParameterIn::Query, name, schema, example).required(Required::True)
}

/// The same, of which there has to be something.
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
    query("domain", texts::domain(), examples::DOMAIN).build()
}

pub(super) fn domain_to_narrow(about: &str) -> Parameter {
    let domain = query("domain", texts::domain(), examples::DOMAIN);
    domain.description(Some(about)).required(Required::False).build()
}

pub(super) fn wallet_path() -> Parameter {
    query("wallet_path", texts::wallet_path(), examples::WALLET).build()
}

pub(super) fn fresh() -> Parameter {
    flag("fresh", "`true` asks the RAIDAs even if the cache would do.")
}

pub(super) fn forget(about: &str) -> Parameter {
    flag("forget", about)
}

pub(super) fn verify() -> Parameter {
    let about = "`true` has the daemon look for the key in all of its own memory after the wipe, and adds a last field `wipe`.";
    flag("verify", about)
}

pub(super) fn everywhere() -> Parameter {
    let about = "`true` waits up to five seconds for the proof of the Content Server that the key is wiped there too, and adds a last field `remote`.";
    flag("everywhere", about)
}

pub(super) fn session_id() -> Parameter {
    query("session_id", texts::session_id(), examples::SESSION).build()
}

pub(super) fn session_in_path() -> Parameter {
    let id = parameter(ParameterIn::Path, "id", texts::session_id(), examples::SESSION);
    id.required(Required::True).build()
}

pub(super) fn plaintext() -> Parameter {
    filled("plaintext", texts::plaintext(), examples::PLAINTEXT)
}

pub(super) fn ciphertext() -> Parameter {
    filled("ciphertext", texts::ciphertext(), examples::CIPHERTEXT)
}

pub(super) fn nonce() -> Parameter {
    query("nonce", texts::nonce(), examples::NONCE).build()
}

pub(super) fn session_header() -> Parameter {
    let about = "The session. Needed with a raw body, and not looked at with a body in JSON.";
    header("X-RKE-Session", texts::session_id(), about, examples::SESSION)
}

pub(super) fn nonce_header() -> Parameter {
    let about =
        "The nonce that encrypting gave. Needed with a raw body, and not looked at with a body in JSON.";
    header("X-RKE-Nonce", texts::nonce(), about, examples::NONCE)
}

pub(super) fn associated_data_header(about: &str) -> Parameter {
    let mut schema = texts::associated_data();
    schema.schema_type = Type::String.into();
    header("X-RKE-Associated-Data", schema, about, examples::ASSOCIATED_DATA)
}
