//! The sessions at a Content Server, for the application behind it.

use axum::Json;
use axum::extract::State;

use super::HeldKeys;
use super::answer::{HeldList, Shown};
use super::end::key_id;
use super::handlers::{Answer, NOT_FOUND, PathId, parse_id};
use crate::http::message::failure::Failure;

pub(in crate::http) async fn list(State(keys): State<HeldKeys>) -> Json<HeldList> {
    Json(HeldList::new(&keys.sessions()))
}

pub(in crate::http) async fn show(State(keys): State<HeldKeys>, PathId(id): PathId) -> Answer<Shown> {
    let session = parse_id(&id)?.and_then(|id| keys.session(&key_id(id)));
    let session = session.ok_or_else(|| Failure::session(NOT_FOUND, &id))?;
    Ok(Json(Shown::held(&session)))
}
