//! What the API does: handlers, and the forms of what they take and say.

pub(super) mod answer;
pub(super) mod bodies;
pub(super) mod events;
pub(super) mod failure;
pub(super) mod handlers;
pub(super) mod health;
pub(super) mod metrics;
pub(super) mod pages;
pub(super) mod query;
pub(super) mod refusals;
pub(super) mod state;
pub(super) mod tunnel;

use std::sync::Arc;

use rke_engine::sessions::Sessions;

/// What handlers work on.
pub(super) type Shared = Arc<Sessions>;
