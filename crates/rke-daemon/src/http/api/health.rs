//! `/health/live` and `/health/ready`, for supervisors and load balancers. They reveal nothing about sessions and
//! need no token.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rke_host::data_dir::write_fault;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::Shared;
use crate::http::message::failure::Failure;

/// The sources of the health checks.
#[derive(Clone)]
pub(in crate::http) struct Sources {
    pub(in crate::http) sessions: Shared,
    pub(in crate::http) stopped: watch::Receiver<bool>,
}

/// The state of the daemon.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::http) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

impl Health {
    pub(super) const READY: Self = Self { status: "ready" };
}

/// The response itself shows that the daemon is alive.
pub(in crate::http) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Whether the daemon can take work. A full store does not count against it: its sessions are there to be used. A store that other
/// machines share and that cannot be reached does.
pub(in crate::http) async fn ready(State(sources): State<Sources>) -> Result<Json<Health>, Failure> {
    let reasons = reasons(sources).await;
    if reasons.is_empty() {
        return Ok(Json(Health::READY));
    }
    Err(unready("The daemon", reasons))
}

/// The response of a program that cannot take work.
pub(super) fn unready(program: &str, reasons: Vec<&'static str>) -> Failure {
    let message = format!("{program} is not ready: {}", reasons.join("; "));
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, message).with("reasons", reasons)
}

/// The reasons why the daemon is not ready.
pub(super) async fn reasons(Sources { sessions, stopped }: Sources) -> Vec<&'static str> {
    let data_dir = sessions.fixed().data_dir.clone();
    let fault =
        spawn_blocking(move || write_fault(&data_dir)).await.unwrap_or(Some("it cannot check its disk"));
    let stopping = stopped.borrow().then_some("it is stopping");
    [stopping, fault, sessions.journal().audit().fault(), sessions.outage()].into_iter().flatten().collect()
}
