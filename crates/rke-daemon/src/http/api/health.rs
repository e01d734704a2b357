//! `/health/live` and `/health/ready`: for whoever watches over the daemon or sends it work. They tell
//! nothing of sessions, and need no token.

use std::path::Path;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rustix::fs::{Access, access, statvfs};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::Shared;
use super::failure::Failure;

/// What health depends on.
#[derive(Clone)]
pub(in crate::http) struct Sources {
    pub(in crate::http) sessions: Shared,
    pub(in crate::http) stopped: watch::Receiver<bool>,
}

/// How the daemon is.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// Whoever gets an answer knows it already.
pub(in crate::http) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Whether it makes sense to send work. A full store is no reason against it: the sessions that fill it
/// are to be used, and only this daemon has them.
pub(in crate::http) async fn ready(State(sources): State<Sources>) -> Result<Json<Health>, Failure> {
    let reasons = reasons(sources).await;
    if reasons.is_empty() {
        return Ok(Json(Health { status: "ready" }));
    }
    let message = format!("The daemon is not ready: {}", reasons.join("; "));
    Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, message).with("reasons", reasons))
}

/// What speaks against it.
async fn reasons(Sources { sessions, stopped }: Sources) -> Vec<&'static str> {
    let data_dir = sessions.fixed().data_dir.clone();
    let fault =
        spawn_blocking(move || fault_of(&data_dir)).await.unwrap_or(Some("it cannot look at its disk"));
    let stopping = stopped.borrow().then_some("it is stopping");
    let audit = sessions.journal().audit().is_failing().then_some("the audit log cannot be written");
    [stopping, fault, audit].into_iter().flatten().collect()
}

/// What keeps the data directory from taking a new file. Nothing is written for it.
fn fault_of(data_dir: &Path) -> Option<&'static str> {
    if access(data_dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Some("the data directory cannot be written");
    }
    match statvfs(data_dir) {
        Ok(disk) if disk.f_bavail == 0 => Some("the data directory's disk is full"),
        _ => None,
    }
}
