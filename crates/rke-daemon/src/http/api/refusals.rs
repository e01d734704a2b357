//! `GET /api/rke/refusals`: the requests that the gate rejected, counted by rule, and the last one.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use rke_engine::model::viewer::Viewer;
use serde::Serialize;

#[cfg(test)]
use crate::http::api::schema;
use crate::http::gate::{Admission, LastRefusal, Rule};

/// A rule that has rejected requests.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = RuleCount))]
struct Count {
    /// `size`, `host`, `origin`, `prefetch`, `fetch`, `token`, `header`, `method`, `session_rate` or `receipt_rate`.
    rule: &'static str,
    /// How many requests.
    count: u64,
}

/// The last rejected request.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = LastRefusal))]
struct Last {
    /// The rule that rejected it.
    rule: &'static str,
    /// The start of its `Origin`, else the origin of its `Referer`, if it had one.
    #[cfg_attr(test, schema(required))]
    origin: Option<String>,
    /// What it attempted: `open_session`, `renew_session`, `delete_session`, `delete_sessions`,
    /// `forget_keys`, `use_key`, `tunnel`, `read` or `other`.
    attempt: &'static str,
    /// When.
    #[cfg_attr(test, schema(format = DateTime))]
    at: String,
}

/// The requests that were rejected since the start.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Refusals))]
pub(in crate::http) struct Refused {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// How many requests, over all rules.
    total: u64,
    /// The rules that have rejected requests, in the order in which they are applied.
    rules: Vec<Count>,
    /// The last rejected request.
    #[cfg_attr(test, schema(required))]
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
