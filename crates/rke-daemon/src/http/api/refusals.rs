//! `GET /api/rke/refusals`: who was refused at the gate, by which rule, and the last of them.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use rke_engine::model::viewer::Viewer;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::success;
use crate::http::gate::{Admission, LastRefusal, Rule};

/// A rule that has refused something.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleCount)]
struct Count {
    /// `size`, `host`, `origin`, `prefetch`, `fetch`, `token`, `header`, `method`, `session_rate` or `receipt_rate`.
    rule: &'static str,
    /// How often.
    count: u64,
}

/// The last request that was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = LastRefusal)]
struct Last {
    /// By which rule.
    rule: &'static str,
    /// The start of its `Origin`, else the origin of its `Referer`, if it had one.
    #[schema(required)]
    origin: Option<String>,
    /// What it was after: `open_session`, `renew_session`, `delete_session`, `delete_sessions`,
    /// `forget_keys`, `use_key`, `tunnel`, `read` or `other`.
    attempt: &'static str,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

/// What has been refused since the start.
#[derive(Serialize, ToSchema)]
#[schema(as = Refusals)]
pub(in crate::http) struct Refused {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// All of them.
    total: u64,
    /// The rules that have refused something, in the order in which they are applied.
    rules: Vec<Count>,
    /// The last one.
    #[schema(required)]
    last: Option<Last>,
}

pub(in crate::http) async fn show(
    State(admission): State<Arc<Admission>>,
    Extension(viewer): Extension<Viewer>,
) -> Json<Refused> {
    let seen = admission.refusals().seen_by(&viewer);
    let count = |(rule, count): (&Rule, &u64)| Count { rule: rule.name(), count: *count };
    Json(Refused {
        command: "rke_refusals",
        success: true,
        total: seen.total(),
        rules: seen.counts.iter().map(count).collect(),
        last: seen.last.map(Last::from),
    })
}

impl From<LastRefusal> for Last {
    fn from(last: LastRefusal) -> Self {
        let LastRefusal { rule, origin, attempt, at } = last;
        Self { rule: rule.name(), origin, attempt: attempt.name(), at: at.to_string() }
    }
}
