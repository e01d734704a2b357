//! `GET /api/rke/refusals`: who was refused at the gate, by which rule, and the last of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::admission::{Admission, LastRefusal, Rule};

#[derive(Serialize)]
struct Count {
    rule: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Last {
    rule: &'static str,
    origin: Option<String>,
    attempt: &'static str,
    at: String,
}

/// What has been refused since the start.
#[derive(Serialize)]
pub(super) struct Refused {
    command: &'static str,
    success: bool,
    total: u64,
    rules: Vec<Count>,
    last: Option<Last>,
}

pub(super) async fn show(State(admission): State<Arc<Admission>>) -> Json<Refused> {
    let counts = admission.refusals().counts();
    let count = |(rule, count): (&Rule, &u64)| Count { rule: rule.name(), count: *count };
    Json(Refused {
        command: "rke_refusals",
        success: true,
        total: counts.values().sum(),
        rules: counts.iter().map(count).collect(),
        last: admission.refusals().last().map(Last::from),
    })
}

impl From<LastRefusal> for Last {
    fn from(last: LastRefusal) -> Self {
        let LastRefusal { rule, origin, attempt, at } = last;
        Self { rule: rule.name(), origin, attempt: attempt.name(), at: at.to_string() }
    }
}
