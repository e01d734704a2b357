//! The operations of the API: the handlers, and the forms of their requests and responses.

pub(super) mod activity;
pub(super) mod answer;
pub(super) mod bodies;
pub(super) mod deletion;
pub(super) mod document;
mod end;
pub(super) mod events;
mod exposition;
mod failure;
pub(super) mod handlers;
pub(super) mod health;
pub(super) mod held;
pub(super) mod metrics;
mod named;
pub(super) mod pages;
pub(super) mod refusals;
#[cfg(test)]
pub(super) mod schema;
pub(super) mod state;
pub(super) mod tunnel;
pub(super) mod watched;

use std::sync::Arc;

use rke_engine::sessions::Sessions;
use rke_host::session_keys::SessionKeys;

/// The sessions that the handlers work on.
pub(super) type Shared = Arc<Sessions>;

/// The keys of a Content Server, which the handlers work on at the other end.
pub(super) type HeldKeys = Arc<dyn SessionKeys>;
