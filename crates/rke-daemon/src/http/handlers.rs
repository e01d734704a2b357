//! One handler for each path: parameters in, one call of [`Sessions`], answer out.

use std::path::PathBuf;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Shared;
use super::answer::{Created, Decrypted, Deleted, Encrypted, Found, KnownRaidas, Listed, Shown, Status};
use super::failure::Failure;
use super::query::Query;
use crate::Domain;
use crate::sessions::{CachedKey, DeleteError, KeyChoice, Nonce, Sessions};
use crate::store::SessionId;

/// Longest session id that is given back in an answer, in characters.
const MAX_ECHOED_ID: usize = 64;

pub(super) const NOT_FOUND: &str = "Session not found";
pub(super) const NOT_FOUND_OR_EXPIRED: &str = "Session not found or expired";

type Answer<T> = Result<Json<T>, Failure>;

pub(super) async fn discover(State(sessions): State<Shared>, query: Query) -> Answer<Found> {
    let domain = domain(&query)?;
    let found = sessions.discover(&domain).await;
    let found = found.map_err(|error| Failure::discovery(&error, domain.as_str()))?;
    Ok(Json(Found::new(domain.to_string(), found)))
}

pub(super) async fn create(State(sessions): State<Shared>, query: Query) -> Answer<Created> {
    let domain = domain(&query)?;
    let wallet = query.required("wallet_path")?;
    let choice = if query.flag("fresh")? { KeyChoice::Fresh } else { KeyChoice::Cached };
    let row = sessions.create(domain.clone(), PathBuf::from(&wallet), choice).await;
    let row = row.map_err(|error| Failure::exchange(&error, domain.as_str(), &wallet))?;
    Ok(Json(Created::from(row)))
}

pub(super) async fn list(State(sessions): State<Shared>) -> Json<Listed> {
    Json(Listed::new(&sessions))
}

pub(super) async fn show(
    State(sessions): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Answer<Shown> {
    let Ok(Path(id)) = id else { return Err(Failure::new(StatusCode::NOT_FOUND, NOT_FOUND)) };
    let row = parse_id(&id)?.and_then(|id| sessions.store().row(id));
    Ok(Json(row.ok_or_else(|| Failure::session(NOT_FOUND, &id))?.into()))
}

pub(super) async fn delete(State(sessions): State<Shared>, query: Query) -> Answer<Deleted> {
    let id = query.required("session_id")?;
    let (forget, verify) = (query.flag("forget")?, query.flag("verify")?);
    let cached = if forget { CachedKey::Forget } else { CachedKey::Keep };
    let receipt = match (parse_id(&id)?, verify) {
        (None, _) => Err(DeleteError::NotFound),
        (Some(parsed), false) => sessions.delete(parsed, cached).await.map(|()| None),
        (Some(parsed), true) => sessions.delete_with_receipt(parsed, cached).await.map(Some),
    };
    let receipt = receipt.map_err(|error| Failure::delete(&error, &id))?;
    Ok(Json(Deleted::new(id, receipt)))
}

pub(super) async fn encrypt(State(sessions): State<Shared>, query: Query) -> Answer<Encrypted> {
    let id = query.required("session_id")?;
    let parsed = parse_id(&id)?;
    encrypt_whole(&sessions, &id, parsed, query.base64("plaintext")?)
}

/// Encrypts data that is all there, with the session that `id` spells.
pub(super) fn encrypt_whole(
    sessions: &Sessions,
    id: &str,
    parsed: Option<SessionId>,
    mut data: Vec<u8>,
) -> Answer<Encrypted> {
    let nonce = match parsed {
        Some(id) => sessions.encrypt(id, &mut data).map_err(|_| Failure::internal())?,
        None => None,
    };
    let nonce = nonce.ok_or_else(|| Failure::session(NOT_FOUND_OR_EXPIRED, id))?;
    Ok(Json(Encrypted::new(STANDARD.encode(&data), hex::encode(nonce), data.len())))
}

pub(super) async fn decrypt(State(sessions): State<Shared>, query: Query) -> Answer<Decrypted> {
    let id = query.required("session_id")?;
    let parsed = parse_id(&id)?;
    let data = query.base64("ciphertext")?;
    decrypt_whole(&sessions, &id, parsed, &query.nonce()?, data)
}

/// Decrypts data that is all there, with the session that `id` spells.
pub(super) fn decrypt_whole(
    sessions: &Sessions,
    id: &str,
    parsed: Option<SessionId>,
    nonce: &Nonce,
    mut data: Vec<u8>,
) -> Answer<Decrypted> {
    let decrypted = parsed.and_then(|id| sessions.decrypt(id, nonce, &mut data));
    decrypted.ok_or_else(|| Failure::session(NOT_FOUND_OR_EXPIRED, id))?;
    Ok(Json(Decrypted::new(STANDARD.encode(&data), data.len())))
}

pub(super) async fn raidas(State(sessions): State<Shared>) -> Json<KnownRaidas> {
    Json(KnownRaidas::new(sessions.exchange().raidas()))
}

pub(super) async fn status(State(sessions): State<Shared>) -> Json<Status> {
    Json(Status::new(&sessions))
}

fn domain(query: &Query) -> Result<Domain, Failure> {
    let given = query.required("domain")?;
    Domain::new(&given).ok_or_else(|| {
        Failure::invalid("domain", "a domain name such as content.example.com").with("domain", given)
    })
}

/// The id that a parameter spells. `Ok(None)` where no session can have that id: that is "not
/// found", not a malformed request.
pub(super) fn parse_id(given: &str) -> Result<Option<SessionId>, Failure> {
    if given.chars().count() > MAX_ECHOED_ID {
        return Err(Failure::invalid("session_id", "32 hex chars"));
    }
    Ok(SessionId::parse(given))
}
