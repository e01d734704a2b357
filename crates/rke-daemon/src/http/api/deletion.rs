//! Ends one session: by GET with its id as a parameter, or by DELETE with its id in the path. The fast path also
//! ends sessions, if the request asks for nothing more.

use std::borrow::Cow;
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::http::Method;
use axum::http::request::Parts;
use rke_engine::model::clock::Moment;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::{CachedKey, DeleteError, Sessions};

use super::Shared;
use super::answer::Deleted;
use super::handlers::PathId;
use super::named::Named;
use crate::http::message::failure::Failure;
use crate::http::message::query::Query;

/// How long a deletion with `everywhere=true` waits for the other end.
const REMOTE_WAIT: Duration = Duration::from_secs(5);

pub(in crate::http) async fn delete(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
    deletion: Deletion,
) -> Result<Deleted, Failure> {
    let Deletion { given, cached, verify, everywhere } = deletion;
    if cached == CachedKey::Keep && !verify && !everywhere && !sessions.are_shared() {
        return end(&sessions, Moment::now(), given.into());
    }
    let session = Named::new(given)?;
    let failure = |error| Failure::delete(&error, &session.given);
    let id = session.id.ok_or(DeleteError::NotFound).map_err(failure)?;
    let (ended, receipt) = if verify {
        let (ended, receipt) = sessions.delete_with_receipt(id, cached, &viewer).await.map_err(failure)?;
        (ended, Some(receipt))
    } else {
        (sessions.delete(id, cached, &viewer).await.map_err(failure)?, None)
    };
    let remote = match everywhere {
        true => Some(sessions.remote_end(&ended, REMOTE_WAIT).await),
        false => None,
    };
    Ok(Deleted::new(session.given.into_owned(), receipt, remote))
}

/// Ends the session with the id `given`, which no other machine shares, and does nothing else.
pub(in crate::http) fn end(
    sessions: &Sessions,
    now: Moment,
    given: Cow<'_, str>,
) -> Result<Deleted, Failure> {
    let session = Named::new(given)?;
    let ended = session.id.ok_or(DeleteError::NotFound).and_then(|id| sessions.end(id, now));
    ended.map_err(|error| Failure::delete(&error, &session.given))?;
    Ok(Deleted::new(session.given.into_owned(), None, None))
}

/// What the request asks for: the session, whose id is not checked yet, and what else to do.
pub(in crate::http) struct Deletion {
    given: String,
    cached: CachedKey,
    verify: bool,
    everywhere: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Deletion {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let in_path = match parts.method {
            Method::DELETE => Some(PathId::from_request_parts(parts, state).await?),
            _ => None,
        };
        let query = Query::of(&parts.uri);
        let given = match in_path {
            Some(PathId(id)) => {
                query.only(&["forget", "verify", "everywhere"])?;
                id
            }
            None => {
                let id = query.required("session_id")?.into_owned();
                // Only now: the fast path, which takes a request with one parameter, reports a missing id.
                query.only(&["session_id", "forget", "verify", "everywhere"])?;
                id
            }
        };
        let cached = if query.flag("forget")? { CachedKey::Forget } else { CachedKey::Keep };
        Ok(Self { given, cached, verify: query.flag("verify")?, everywhere: query.flag("everywhere")? })
    }
}
