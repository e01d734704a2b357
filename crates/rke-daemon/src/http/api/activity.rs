//! `GET /api/rke/activity`: the latest events of sessions and keys, with the receipts of ended sessions.

use axum::extract::State;
use axum::{Extension, Json};
use rke_engine::activity;
use rke_engine::model::clock::timestamp;
use rke_engine::model::viewer::Viewer;
use serde::Serialize;

use super::Shared;
use super::answer::Wipe;
#[cfg(test)]
use crate::http::api::schema;

/// The receipt of a session that has ended, and of the wipe of its key.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct ErasureReceipt {
    #[cfg_attr(test, schema(schema_with = schema::how))]
    how: &'static str,
    /// The first 8 hexadecimal digits of the key id, which is the same at the Content Server. `null` for a session of 8
    /// bits.
    #[cfg_attr(test, schema(required, pattern = "^[0-9a-f]{8}$"))]
    key_id: Option<String>,
    #[cfg_attr(test, schema(schema_with = schema::remote_of_receipt))]
    remote: &'static str,
    /// When `remote` became `forgotten` or `given_up`. `null` for the others.
    #[cfg_attr(test, schema(required, format = DateTime))]
    remote_at: Option<String>,
    /// The memory scan of a deletion with `verify=true`. `null` where there was none.
    #[cfg_attr(test, schema(required))]
    wipe: Option<Wipe>,
}

impl From<&activity::Receipt> for ErasureReceipt {
    fn from(receipt: &activity::Receipt) -> Self {
        Self {
            how: receipt.how.name(),
            key_id: receipt.key().map(|id| id.to_string()),
            remote: receipt.other_end.name(),
            remote_at: receipt.other_end.at().map(|at| timestamp(at).to_string()),
            wipe: receipt.wipe.as_deref().map(Wipe::from),
        }
    }
}

/// Something that happened.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct ActivityEvent {
    /// When. For rejected requests, when the last of them arrived.
    #[cfg_attr(test, schema(format = DateTime))]
    at: String,
    #[cfg_attr(test, schema(schema_with = schema::event))]
    event: &'static str,
    /// The first 8 hexadecimal digits of the session's id. `null` where the event is about none.
    #[cfg_attr(test, schema(required, pattern = "^[0-9a-f]{8}$"))]
    session: Option<String>,
    /// The domain that it is about. `null` where it is about none, or about all.
    #[cfg_attr(test, schema(required))]
    domain: Option<String>,
    /// A detail: `from_cache` or `new_shares` for a session that was opened, the reason why none was opened, or the
    /// rule that rejected requests. `null` for other events.
    #[cfg_attr(test, schema(required))]
    detail: Option<&'static str>,
    /// How many requests or cached keys it stands for; 1 for the others.
    count: u64,
    /// The receipt of a session that has ended. `null` for other events.
    #[cfg_attr(test, schema(required))]
    receipt: Option<ErasureReceipt>,
}

impl From<activity::Event> for ActivityEvent {
    fn from(event: activity::Event) -> Self {
        Self {
            at: timestamp(event.at).to_string(),
            event: event.kind.name(),
            session: event.session.map(|id| id.to_string()),
            domain: event.domain.map(|domain| domain.to_string()),
            detail: event.detail,
            count: event.count,
            receipt: event.receipt.as_ref().map(ErasureReceipt::from),
        }
    }
}

/// The last events, as far as the daemon keeps them.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Activity))]
pub(in crate::http) struct Happened {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// How many events follow.
    total: usize,
    /// The events, newest first.
    events: Vec<ActivityEvent>,
}

pub(in crate::http) async fn show(
    State(sessions): State<Shared>,
    Extension(viewer): Extension<Viewer>,
) -> Json<Happened> {
    let events = sessions.activity(&viewer);
    let events: Vec<ActivityEvent> = events.into_iter().map(ActivityEvent::from).collect();
    Json(Happened { command: "rke_activity", success: true, total: events.len(), events })
}
