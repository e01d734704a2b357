//! JSON bodies: read whole, up to a limit and strictly. A field that is unknown or comes twice is a
//! mistake that could go unnoticed otherwise, associated data under a wrong name say.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64_simd::STANDARD;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rke_engine::model::clock::Moment;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::{KeyChoice, Sessions};
use rke_engine::store::KeyError;
use rke_engine::streams::{Direction, Opening, Sealing, StreamKey, whole};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::Answered;
use crate::http::api::Shared;
use crate::http::api::answer::{Opened, Sealed};
use crate::http::api::failure::Failure;
use crate::http::api::handlers::{create_session, decrypt_whole, encrypt_whole, parse_domain, parse_id};
use crate::http::api::query::parse_nonce;
use crate::http::gate::limits::JSON_TOO_LARGE;
use crate::http::openapi::texts;
use crate::http::wire::body_timeout::BodyTimeout;

/// Longest JSON body, in bytes.
pub(in crate::http) const MAX_JSON_LEN: u64 = 1024 * 1024;

/// What a session is opened with.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateRequest)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToCreate {
    #[schema(schema_with = texts::domain, required)]
    domain: Option<String>,
    #[schema(schema_with = texts::wallet_path, required)]
    wallet_path: Option<String>,
    /// `true` makes a new key although a cached one would do.
    #[serde(default)]
    fresh: bool,
}

/// Data to encrypt.
#[derive(Deserialize, ToSchema)]
#[schema(as = EncryptRequest)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToEncrypt {
    #[schema(schema_with = texts::session_id, required)]
    session_id: Option<String>,
    #[schema(schema_with = texts::plaintext, required)]
    plaintext: Option<String>,
}

/// Data to decrypt.
#[derive(Deserialize, ToSchema)]
#[schema(as = DecryptRequest)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToDecrypt {
    #[schema(schema_with = texts::session_id, required)]
    session_id: Option<String>,
    #[schema(schema_with = texts::ciphertext, required)]
    ciphertext: Option<String>,
    #[schema(schema_with = texts::nonce, required)]
    nonce: Option<String>,
}

/// Data to seal.
#[derive(Deserialize, ToSchema)]
#[schema(as = SealRequest)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToSeal {
    #[schema(schema_with = texts::session_id, required)]
    session_id: Option<String>,
    #[schema(schema_with = texts::plaintext, required)]
    plaintext: Option<String>,
    #[schema(schema_with = texts::associated_data)]
    associated_data: Option<String>,
}

/// Data to open.
#[derive(Deserialize, ToSchema)]
#[schema(as = OpenRequest)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToOpen {
    #[schema(schema_with = texts::session_id, required)]
    session_id: Option<String>,
    #[schema(schema_with = texts::sealed, required)]
    sealed: Option<String>,
    #[schema(schema_with = texts::associated_data)]
    associated_data: Option<String>,
}

pub(super) async fn create(sessions: &Sessions, viewer: &Viewer, request: Request) -> Answered {
    let given: ToCreate = read(request, "domain, wallet_path and fresh").await?;
    let (domain, wallet) = (required("domain", given.domain)?, required("wallet_path", given.wallet_path)?);
    let choice = if given.fresh { KeyChoice::Fresh } else { KeyChoice::Cached };
    let domain = parse_domain(&domain)?;
    Ok(create_session(sessions, viewer, domain, wallet, choice).await?.into_response())
}

pub(super) async fn encrypt(sessions: &Sessions, request: Request) -> Answered {
    let given: ToEncrypt = read(request, "session_id and plaintext").await?;
    let id = required("session_id", given.session_id)?;
    let (parsed, data) = (parse_id(&id)?, base64("plaintext", given.plaintext)?);
    Ok(encrypt_whole(sessions, Moment::now(), &id, parsed, data)?.into_response())
}

pub(super) async fn decrypt(sessions: &Sessions, request: Request) -> Answered {
    let given: ToDecrypt = read(request, "session_id, ciphertext and nonce").await?;
    let id = required("session_id", given.session_id)?;
    let (parsed, data) = (parse_id(&id)?, base64("ciphertext", given.ciphertext)?);
    let nonce = given.nonce.as_deref().and_then(parse_nonce).ok_or_else(Failure::nonce)?;
    Ok(decrypt_whole(sessions, Moment::now(), &id, parsed, &nonce, data)?.into_response())
}

pub(super) async fn seal(sessions: Shared, request: Request) -> Answered {
    let given: ToSeal = read(request, "session_id, plaintext and associated_data").await?;
    let id = required("session_id", given.session_id)?;
    let (parsed, data) = (parse_id(&id)?, base64("plaintext", given.plaintext)?);
    let associated_data = base64("associated_data", Some(given.associated_data.unwrap_or_default()))?;
    let seal = || {
        let key = StreamKey::begin(sessions, parsed.ok_or(KeyError::NotFound)?, Direction::Encrypt)?;
        whole(Sealing::new(key, &associated_data)?, &data)
    };
    let sealed = seal().map_err(|error| Failure::stream(&error, &id))?;
    Ok(Json(Sealed::new(STANDARD.encode_to_string(sealed), data.len())).into_response())
}

pub(super) async fn open(sessions: Shared, request: Request) -> Answered {
    let given: ToOpen = read(request, "session_id, sealed and associated_data").await?;
    let id = required("session_id", given.session_id)?;
    let (parsed, sealed) = (parse_id(&id)?, base64("sealed", given.sealed)?);
    let associated_data = base64("associated_data", Some(given.associated_data.unwrap_or_default()))?;
    let open = || {
        let key = StreamKey::begin(sessions, parsed.ok_or(KeyError::NotFound)?, Direction::Decrypt)?;
        whole(Opening::new(key, associated_data), &sealed)
    };
    let data = open().map_err(|error| Failure::stream(&error, &id))?;
    Ok(Json(Opened::new(STANDARD.encode_to_string(&data), data.len())).into_response())
}

/// The body as a `T`. `takes` names its fields, for people.
async fn read<T: DeserializeOwned>(request: Request, takes: &str) -> Result<T, Failure> {
    let (head, body) = request.into_parts();
    let _watch = head.extensions.get().map(BodyTimeout::watch);
    let body = collect(body, MAX_JSON_LEN, JSON_TOO_LARGE).await?;
    let wrong = || format!("has to be an object with {takes}, each of its type and there once");
    let failure = |fault: &str| Failure::new(StatusCode::BAD_REQUEST, format!("The body {fault}"));
    // serde would take the fields of a list in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(failure(&wrong()));
    }
    // serde's own words may repeat values, and these can be secret.
    serde_json::from_slice(&body).map_err(|error| {
        let fault = if error.is_data() { wrong() } else { "is not valid JSON".to_owned() };
        failure(&format!("{fault} (line {}, column {})", error.line(), error.column()))
    })
}

/// All of a body, which may have at most `limit` bytes; `too_large` says so.
pub(in crate::http) async fn collect(body: Body, limit: u64, too_large: &str) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, limit as usize).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, too_large).closing()
        } else {
            Failure::broken_body()
        }
    })
}

fn required(name: &str, given: Option<String>) -> Result<String, Failure> {
    given.filter(|value| !value.is_empty()).ok_or_else(|| Failure::missing(name))
}

/// The bytes of a field. There may be none of them, but the field has to be there.
fn base64(name: &str, given: Option<String>) -> Result<Vec<u8>, Failure> {
    STANDARD.decode_to_vec(given.ok_or_else(|| Failure::missing(name))?).map_err(|_| Failure::base64())
}
