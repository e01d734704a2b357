//! JSON bodies. They are read as a whole, up to a limit and strictly: an unknown or repeated field is a mistake
//! that could otherwise go unnoticed, such as associated data under a wrong name.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64_simd::STANDARD;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::{KeyChoice, Sessions};
use rke_engine::store::{KeyError, KeyUse};
use rke_host::streams::{Direction, Opening, Sealing, whole};
use rke_proto::export::Export;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Answered;
use crate::http::api::answer::{Exported, Opened, Sealed};
use crate::http::api::end::End;
use crate::http::api::handlers::{create_session, parse_domain};
use crate::http::api::named::Named;
#[cfg(test)]
use crate::http::api::schema;
use crate::http::message::body::{JSON_TOO_LARGE, MAX_JSON_LEN, collect};
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::Failure;

/// What a session is opened with.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CreateRequest))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToCreate {
    #[cfg_attr(test, schema(schema_with = schema::domain, required))]
    domain: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::wallet_path, required))]
    wallet_path: Option<String>,
    /// `true` makes a new key even if a cached one would do.
    #[serde(default)]
    fresh: bool,
}

/// Data to encrypt.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = EncryptRequest))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToEncrypt {
    #[cfg_attr(test, schema(schema_with = schema::session_id, required))]
    pub(super) session_id: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::plaintext, required))]
    pub(super) plaintext: Option<String>,
}

/// Data to decrypt.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = DecryptRequest))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToDecrypt {
    #[cfg_attr(test, schema(schema_with = schema::session_id, required))]
    pub(super) session_id: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::ciphertext, required))]
    pub(super) ciphertext: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::nonce, required))]
    pub(super) nonce: Option<String>,
}

/// Data to seal.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SealRequest))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToSeal {
    #[cfg_attr(test, schema(schema_with = schema::session_id, required))]
    session_id: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::plaintext, required))]
    plaintext: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::associated_data))]
    associated_data: Option<String>,
}

/// Data to open.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = OpenRequest))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToOpen {
    #[cfg_attr(test, schema(schema_with = schema::session_id, required))]
    session_id: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::sealed, required))]
    sealed: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::associated_data))]
    associated_data: Option<String>,
}

/// What a key is exported for.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = ExportRequest))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToExport {
    #[cfg_attr(test, schema(schema_with = schema::session_id, required))]
    session_id: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::export_label, required))]
    label: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::export_context))]
    context: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::export_length, required))]
    length: Option<f64>,
}

pub(super) async fn create(sessions: &Sessions, viewer: &Viewer, request: Request) -> Answered {
    let given: ToCreate = read(request, "domain, wallet_path and fresh").await?;
    let (domain, wallet) = (required("domain", given.domain)?, required("wallet_path", given.wallet_path)?);
    let choice = if given.fresh { KeyChoice::Fresh } else { KeyChoice::Cached };
    let domain = parse_domain(&domain)?;
    Ok(create_session(sessions, viewer, domain, wallet, choice).await?.into_response())
}

pub(super) async fn seal(end: &impl End, request: Request) -> Answered {
    let given: ToSeal = read(request, "session_id, plaintext and associated_data").await?;
    let session = Named::new(required("session_id", given.session_id)?)?;
    let data = base64("plaintext", given.plaintext)?;
    let associated_data = base64("associated_data", Some(given.associated_data.unwrap_or_default()))?;
    session.bring(end, KeyUse::Encrypt(data.len())).await?;
    let seal = || {
        let key = end.begin(session.id.ok_or(KeyError::NotFound)?, Direction::Encrypt)?;
        whole(Sealing::new(key, &associated_data)?, &data)
    };
    let sealed = seal().map_err(|error| Failure::stream(&error, &session.given))?;
    Ok(Json(Sealed::new(STANDARD.encode_to_string(sealed), data.len())).into_response())
}

pub(super) async fn open(end: &impl End, request: Request) -> Answered {
    let given: ToOpen = read(request, "session_id, sealed and associated_data").await?;
    let session = Named::new(required("session_id", given.session_id)?)?;
    let sealed = base64("sealed", given.sealed)?;
    let associated_data = base64("associated_data", Some(given.associated_data.unwrap_or_default()))?;
    session.bring(end, KeyUse::Decrypt).await?;
    let open = || {
        let key = end.begin(session.id.ok_or(KeyError::NotFound)?, Direction::Decrypt)?;
        whole(Opening::new(key, associated_data), &sealed)
    };
    let data = open().map_err(|error| Failure::stream(&error, &session.given))?;
    Ok(Json(Opened::new(STANDARD.encode_to_string(&data), data.len())).into_response())
}

pub(super) async fn export(end: &impl End, request: Request) -> Answered {
    let given: ToExport = read(request, "session_id, label, context and length").await?;
    let session = Named::new(required("session_id", given.session_id)?)?;
    let label = required("label", given.label)?;
    let context = base64("context", Some(given.context.unwrap_or_default()))?;
    let length = given.length.ok_or_else(|| Failure::missing("length"))?;
    let export = Export::new(&label, &context, as_length(length))?;
    session.bring(end, KeyUse::Export).await?;
    let mut exported = Exported::new(&export);
    let id = session.id.ok_or(KeyError::NotFound.into());
    let write = |key: &[u8]| exported.write_key(key);
    id.and_then(|id| end.export(id, &export, write))
        .map_err(|error| Failure::export(error, &session.given))?;
    Ok(exported.into_response())
}

/// JSON has one kind of number: 32.0 is 32. Anything else is a length that no key has.
fn as_length(number: f64) -> usize {
    if number.fract() == 0.0 && (0.0..=65_535.0).contains(&number) { number as usize } else { usize::MAX }
}

/// Reads the body as a `T`. `takes` names its fields, for the error message.
pub(super) async fn read<T: DeserializeOwned>(request: Request, takes: &str) -> Result<T, Failure> {
    let (head, body) = request.into_parts();
    let watch = BodyTimeout::watch(&head.extensions);
    let body = watch.in_time(collect(body, MAX_JSON_LEN, JSON_TOO_LARGE)).await??;
    let wrong = || format!("must be an object with {takes}, each of its type and given once");
    let failure = |fault: &str| Failure::new(StatusCode::BAD_REQUEST, format!("The body {fault}"));
    if body.is_empty() {
        let place = if head.uri.query().is_some() { ", not in the query" } else { "" };
        return Err(failure(&format!("is empty: {takes} belong in it, as a JSON object{place}")));
    }
    // serde would also accept a list, and take its items as the fields in order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(failure(&wrong()));
    }
    // serde's own messages may repeat values, which can be secret.
    serde_json::from_slice(&body).map_err(|error| {
        let fault = if error.is_data() { wrong() } else { "is not valid JSON".to_owned() };
        failure(&format!("{fault} (line {}, column {})", error.line(), error.column()))
    })
}

pub(super) fn required(name: &str, given: Option<String>) -> Result<String, Failure> {
    given.filter(|value| !value.is_empty()).ok_or_else(|| Failure::missing(name))
}

/// The bytes of a field. They may be empty, but the field is required.
pub(super) fn base64(name: &str, given: Option<String>) -> Result<Vec<u8>, Failure> {
    STANDARD.decode_to_vec(given.ok_or_else(|| Failure::missing(name))?).map_err(|_| Failure::base64())
}
