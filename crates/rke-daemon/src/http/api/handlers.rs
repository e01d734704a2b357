//! The handlers that take only parameters. Each makes one call of [`Sessions`] and turns the result into a
//! response.

use std::path::PathBuf;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Extension, Json};
use rke_engine::Domain;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::{CachedKey, KeyChoice, Sessions, StoreError};

use super::Shared;
use super::answer::{Created, DeletedAll, Found, Keys, KnownRaidas, Listed, Renewed, Shown, Status};
use super::state::EtsiPeers;
use crate::http::message::failure::Failure;
use crate::http::message::query::Query;

/// The longest session id that a response repeats, in characters.
const MAX_ECHOED_ID: usize = 64;

pub(in crate::http) const NOT_FOUND: &str = "Session not found";
pub(in crate::http) const NOT_FOUND_OR_EXPIRED: &str = "Session not found or expired";

pub(in crate::http) type Answer<T> = Result<Json<T>, Failure>;

pub(in crate::http) async fn discover(
    State(sessions): State<Shared>,
    query: Query<'static>,
) -> Answer<Found> {
    let domain = domain(&query)?;
    let found = sessions.discover(&domain).await;
    let found = found.map_err(|error| Failure::discovery(&error, domain.as_str()))?;
    Ok(Json(Found::new(domain.to_string(), found)))
}

pub(in crate::http) async fn create(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: Query<'static>,
) -> NewSession {
    let domain = domain(&query)?;
    let wallet = query.required("wallet_path")?.into_owned();
    let choice = if query.flag("fresh")? { KeyChoice::Fresh } else { KeyChoice::Cached };
    create_session(&sessions, &viewer, domain, wallet, choice).await
}

/// Accompanies a response that announces a new session.
#[derive(Clone, Copy)]
pub(in crate::http) struct Opened(pub(in crate::http) SessionId);

/// The response that announces a new session, and the session itself.
pub(in crate::http) type NewSession = Result<(Extension<Opened>, Json<Created>), Failure>;

/// Opens a session.
pub(in crate::http) async fn create_session(
    sessions: &Sessions,
    viewer: &Viewer,
    domain: Domain,
    wallet: String,
    choice: KeyChoice,
) -> NewSession {
    let row = sessions.create(domain.clone(), PathBuf::from(&wallet), choice, viewer).await;
    let row = row.map_err(|error| Failure::open(&error, domain.as_str(), &wallet))?;
    let opened = parse_id(&row.session_id)?.ok_or_else(Failure::internal)?;
    Ok((Extension(Opened(opened)), Json(Created::from(row))))
}

pub(in crate::http) async fn list(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<Listed> {
    let (count, rows) = sessions.list(&viewer).await.map_err(|error| Failure::store(&error))?;
    Ok(Json(Listed::of(count, &rows)))
}

pub(in crate::http) async fn show(State(sessions): State<Shared>, PathId(id): PathId) -> Answer<Shown> {
    let failure = |error| Failure::store_of_session(&error, NOT_FOUND, &id);
    let parsed = parse_id(&id)?.ok_or(StoreError::NotFound).map_err(failure)?;
    let row = sessions.show(parsed).await.map_err(failure)?;
    Ok(Json(Shown::new(row, sessions.tunnel_broken_off(parsed), sessions.is_key_gone(parsed))))
}

pub(in crate::http) async fn delete_all(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: Query<'static>,
) -> Answer<DeletedAll> {
    query.only(&["domain", "forget"])?;
    let domain = domain_to_narrow(&query)?;
    let cached = if query.flag("forget")? { CachedKey::Forget } else { CachedKey::Keep };
    let deleted = sessions.delete_all(domain, cached, &viewer).await;
    Ok(Json(DeletedAll::sessions(deleted.map_err(|error| Failure::delete_all(&error))?)))
}

pub(in crate::http) async fn renew(State(sessions): State<Shared>, PathId(id): PathId) -> Answer<Renewed> {
    let failure = |error| Failure::store_of_session(&error, NOT_FOUND_OR_EXPIRED, &id);
    let parsed = parse_id(&id)?.ok_or(StoreError::NotFound).map_err(failure)?;
    let expires_at = sessions.renew(parsed).await.map_err(failure)?;
    Ok(Json(Renewed::new(parsed, expires_at)))
}

pub(in crate::http) async fn keys(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<Keys> {
    let keys = sessions.cached_keys(&viewer).await.map_err(|error| Failure::store(&error))?;
    Ok(Json(Keys::new(&keys)))
}

pub(in crate::http) async fn forget_keys(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: Query<'static>,
) -> Answer<DeletedAll> {
    query.only(&["domain"])?;
    let domain = domain_to_narrow(&query)?;
    let forgotten = sessions.forget_keys(domain, &viewer).await;
    Ok(Json(DeletedAll::keys(forgotten.map_err(|error| Failure::delete_all(&error))?)))
}

pub(in crate::http) async fn raidas(State(sessions): State<Shared>) -> Json<KnownRaidas> {
    Json(KnownRaidas::new(&sessions))
}

pub(in crate::http) async fn refresh_raidas(State(sessions): State<Shared>) -> Answer<KnownRaidas> {
    let refreshed = sessions.refresh_directory().await;
    refreshed.map_err(|error| Failure::refresh(&error))?;
    Ok(Json(KnownRaidas::refreshed(&sessions)))
}

pub(in crate::http) async fn status(
    State(sessions): State<Shared>,
    State(peers): State<EtsiPeers>,
) -> Answer<Status> {
    let peers = peers.get().map(|list| list()).unwrap_or_default();
    let failure = |error| Failure::store(&error);
    let stored = sessions.count().await.map_err(failure)?;
    let keys = sessions.count_cached_keys().await.map_err(failure)?;
    Ok(Json(Status::new(&sessions, (stored, keys), peers)))
}

fn domain(query: &Query<'_>) -> Result<Domain, Failure> {
    parse_domain(&query.required("domain")?)
}

/// The domain to which a deletion is limited. An empty one is an error: treated as missing, it would delete
/// everything.
fn domain_to_narrow(query: &Query<'_>) -> Result<Option<Domain>, Failure> {
    query.given("domain")?.map(|given| parse_domain(&given)).transpose()
}

pub(in crate::http) fn parse_domain(given: &str) -> Result<Domain, Failure> {
    Domain::new(given).ok_or_else(|| {
        Failure::invalid("domain", "a domain name such as content.example.com").with("domain", given)
    })
}

/// A session id from a path, not checked yet.
pub(in crate::http) struct PathId(pub(in crate::http) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Failure::new(StatusCode::NOT_FOUND, NOT_FOUND))
    }
}

/// Parses a session id. `Ok(None)` if no session can have it: that is "not found", not a malformed request.
pub(in crate::http) fn parse_id(given: &str) -> Result<Option<SessionId>, Failure> {
    if given.len() > MAX_ECHOED_ID && given.chars().count() > MAX_ECHOED_ID {
        return Err(Failure::invalid("session_id", "32 hex chars"));
    }
    Ok(SessionId::parse(given))
}
