//! The sessions at a Content Server, for the application behind it.

use axum::Json;
use axum::extract::State;
use rke_host::usage::{KeyError, KeyUse};

use super::HeldKeys;
use super::answer::{HeldList, Shown};
use super::end::key_id;
use super::handlers::{Answer, NOT_FOUND, PathId, parse_id};
use crate::http::message::failure::Failure;

pub(in crate::http) async fn list(State(keys): State<HeldKeys>) -> Answer<HeldList> {
    Ok(Json(HeldList::new(&keys.list().map_err(Failure::not_held)?)))
}

pub(in crate::http) async fn show(State(keys): State<HeldKeys>, PathId(id): PathId) -> Answer<Shown> {
    let key_id = parse_id(&id)?.map(key_id);
    if let Some(key_id) = &key_id {
        keys.get_ready(key_id, KeyUse::Decrypt).or_else(|error| match error {
            KeyError::NotHeld => Err(Failure::key(error, &id)),
            KeyError::NotFound | KeyError::UsedUp(_) => Ok(()),
        })?;
    }
    let session = key_id.and_then(|key_id| keys.session(&key_id));
    let session = session.ok_or_else(|| Failure::session(NOT_FOUND, &id))?;
    Ok(Json(Shown::held(&session)))
}
