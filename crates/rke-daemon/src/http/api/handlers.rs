//! One handler for each path: parameters in, one call of [`Sessions`], answer out.

use std::path::PathBuf;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Extension, Json};
use rke_engine::Domain;
use rke_engine::model::clock::Moment;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::{CachedKey, DeleteError, KeyChoice, Nonce, Sessions};
use rke_engine::store::KeyError;

use super::Shared;
use super::answer::{
    Created, Decrypted, Deleted, DeletedAll, Encrypted, Found, Keys, KnownRaidas, Listed, Renewed, Shown,
    Status,
};
use super::failure::Failure;
use super::query::Query;

/// How long a deletion with `everywhere=true` waits for the other end.
const REMOTE_WAIT: Duration = Duration::from_secs(5);

/// Longest session id that is given back in an answer, in characters.
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

/// Goes with an answer that tells of a new session.
#[derive(Clone, Copy)]
pub(in crate::http) struct Opened(pub(in crate::http) SessionId);

/// The answer that tells of a new session, and the session itself.
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
) -> Json<Listed> {
    Json(Listed::new(&sessions, &viewer))
}

pub(in crate::http) async fn show(State(sessions): State<Shared>, PathId(id): PathId) -> Answer<Shown> {
    let shown = parse_id(&id)?.and_then(|id| {
        let row = sessions.store().row(id)?;
        Some(Shown::new(row, sessions.tunnel_broken_off(id)))
    });
    Ok(Json(shown.ok_or_else(|| Failure::session(NOT_FOUND, &id))?))
}

pub(in crate::http) async fn delete(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: Query<'static>,
) -> Result<Deleted, Failure> {
    delete_session(&sessions, &viewer, query.required("session_id")?.into_owned(), &query).await
}

pub(in crate::http) async fn delete_by_path(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    PathId(id): PathId,
    query: Query<'static>,
) -> Result<Deleted, Failure> {
    query.only(&["forget", "verify", "everywhere"])?;
    delete_session(&sessions, &viewer, id, &query).await
}

/// Ends the session that `session_id` names, where it is the only parameter: nothing else can be asked for then.
pub(in crate::http) fn delete_only(
    sessions: &Sessions,
    now: Moment,
    query: &Query<'_>,
) -> Result<Deleted, Failure> {
    let id = query.required("session_id")?;
    let ended = parse_id(&id)?.map_or(Err(DeleteError::NotFound), |parsed| sessions.end(parsed, now));
    ended.map_err(|error| Failure::delete(&error, &id))?;
    Ok(Deleted::new(id.into_owned(), None, None))
}

async fn delete_session(
    sessions: &Sessions,
    viewer: &Viewer,
    id: String,
    query: &Query<'_>,
) -> Result<Deleted, Failure> {
    let (forget, verify, everywhere) =
        (query.flag("forget")?, query.flag("verify")?, query.flag("everywhere")?);
    let cached = if forget { CachedKey::Forget } else { CachedKey::Keep };
    let deleted = match (parse_id(&id)?, verify) {
        (None, _) => Err(DeleteError::NotFound),
        (Some(parsed), false) => sessions.delete(parsed, cached, viewer).await.map(|ended| (ended, None)),
        (Some(parsed), true) => {
            let deleted = sessions.delete_with_receipt(parsed, cached, viewer).await;
            deleted.map(|(ended, receipt)| (ended, Some(receipt)))
        }
    };
    let (ended, receipt) = deleted.map_err(|error| Failure::delete(&error, &id))?;
    let remote = match everywhere {
        true => Some(sessions.remote_end(&ended, REMOTE_WAIT).await),
        false => None,
    };
    Ok(Deleted::new(id, receipt, remote))
}

pub(in crate::http) async fn encrypt(
    State(sessions): State<Shared>,
    query: Query<'static>,
) -> Result<Encrypted, Failure> {
    encrypt_sent(&sessions, Moment::now(), &query)
}

/// Encrypts what the parameters hold.
pub(in crate::http) fn encrypt_sent(
    sessions: &Sessions,
    now: Moment,
    query: &Query<'_>,
) -> Result<Encrypted, Failure> {
    let id = query.required("session_id")?;
    let parsed = parse_id(&id)?;
    encrypt_whole(sessions, now, &id, parsed, query.base64("plaintext")?)
}

/// Encrypts data that is all there, with the session that `id` spells.
pub(in crate::http) fn encrypt_whole(
    sessions: &Sessions,
    now: Moment,
    id: &str,
    parsed: Option<SessionId>,
    mut data: Vec<u8>,
) -> Result<Encrypted, Failure> {
    let encrypted = match parsed {
        Some(id) => sessions.encrypt(id, now, &mut data),
        None => Err(KeyError::NotFound.into()),
    };
    let nonce = encrypted.map_err(|error| Failure::crypt(&error, id))?;
    Ok(Encrypted::new(data, nonce))
}

pub(in crate::http) async fn decrypt(
    State(sessions): State<Shared>,
    query: Query<'static>,
) -> Result<Decrypted, Failure> {
    decrypt_sent(&sessions, Moment::now(), &query)
}

/// Decrypts what the parameters hold.
pub(in crate::http) fn decrypt_sent(
    sessions: &Sessions,
    now: Moment,
    query: &Query<'_>,
) -> Result<Decrypted, Failure> {
    let id = query.required("session_id")?;
    let parsed = parse_id(&id)?;
    let data = query.base64("ciphertext")?;
    decrypt_whole(sessions, now, &id, parsed, &query.nonce()?, data)
}

/// Decrypts data that is all there, with the session that `id` spells.
pub(in crate::http) fn decrypt_whole(
    sessions: &Sessions,
    now: Moment,
    id: &str,
    parsed: Option<SessionId>,
    nonce: &Nonce,
    mut data: Vec<u8>,
) -> Result<Decrypted, Failure> {
    let decrypted = match parsed {
        Some(id) => sessions.decrypt(id, now, nonce, &mut data),
        None => Err(KeyError::NotFound),
    };
    decrypted.map_err(|error| Failure::key(error, id))?;
    Ok(Decrypted::new(data))
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
    let renewed = parse_id(&id)?.and_then(|id| sessions.renew(id));
    Ok(Json(Renewed::from(renewed.ok_or_else(|| Failure::session(NOT_FOUND_OR_EXPIRED, &id))?)))
}

pub(in crate::http) async fn keys(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
) -> Json<Keys> {
    Json(Keys::new(&sessions.keystore().rows(&viewer)))
}

pub(in crate::http) async fn forget_keys(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    query: Query<'static>,
) -> Answer<DeletedAll> {
    query.only(&["domain"])?;
    let domain = domain_to_narrow(&query)?;
    let forgotten = sessions.forget_keys(domain, &viewer).await.map_err(DeleteError::Cache);
    Ok(Json(DeletedAll::keys(forgotten.map_err(|error| Failure::delete_all(&error))?)))
}

pub(in crate::http) async fn raidas(State(sessions): State<Shared>) -> Json<KnownRaidas> {
    Json(KnownRaidas::new(sessions.exchange()))
}

pub(in crate::http) async fn refresh_raidas(State(sessions): State<Shared>) -> Answer<KnownRaidas> {
    let refreshed = sessions.exchange().agreed_directory().refresh().await;
    refreshed.map_err(|error| Failure::refresh(&error))?;
    Ok(Json(KnownRaidas::refreshed(sessions.exchange())))
}

pub(in crate::http) async fn status(State(sessions): State<Shared>) -> Json<Status> {
    Json(Status::new(&sessions))
}

fn domain(query: &Query<'_>) -> Result<Domain, Failure> {
    parse_domain(&query.required("domain")?)
}

/// The domain that a deletion is narrowed to. An empty one is a mistake: taken for none it would delete
/// everything.
fn domain_to_narrow(query: &Query<'_>) -> Result<Option<Domain>, Failure> {
    query.given("domain")?.map(|given| parse_domain(&given)).transpose()
}

pub(in crate::http) fn parse_domain(given: &str) -> Result<Domain, Failure> {
    Domain::new(given).ok_or_else(|| {
        Failure::invalid("domain", "a domain name such as content.example.com").with("domain", given)
    })
}

/// A session id in a path, not looked at yet.
pub(in crate::http) struct PathId(pub(in crate::http) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Failure::new(StatusCode::NOT_FOUND, NOT_FOUND))
    }
}

/// The id that a parameter spells. `Ok(None)` where no session can have that id: that is "not
/// found", not a malformed request.
pub(in crate::http) fn parse_id(given: &str) -> Result<Option<SessionId>, Failure> {
    if given.len() > MAX_ECHOED_ID && given.chars().count() > MAX_ECHOED_ID {
        return Err(Failure::invalid("session_id", "32 hex chars"));
    }
    Ok(SessionId::parse(given))
}
