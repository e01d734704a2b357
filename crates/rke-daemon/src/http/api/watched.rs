//! The metrics and the health of a program that is not a daemon: a RAIDA node or a Content Server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use rke_host::monitored::{LastReload, Monitored};
use tokio::task::spawn_blocking;

use super::exposition::{self, Readiness};
use super::health::{Health, unready};
use crate::http::message::failure::Failure;

/// The program, how it took its settings last, and when it began to serve.
#[derive(Clone)]
pub(in crate::http) struct Watched {
    pub(in crate::http) program: Arc<dyn Monitored>,
    pub(in crate::http) last_reload: Arc<LastReload>,
    pub(in crate::http) started: Timestamp,
}

pub(in crate::http) async fn metrics(
    State(watched): State<Watched>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Watched { program, last_reload, started } = watched;
    let shown = spawn_blocking(move || (program.metrics(), Readiness::of(&program.faults()))).await;
    let (metrics, readiness) = shown.map_err(|_| Failure::internal())?;
    let mut registry = Registry::default();
    exposition::add_process(&mut registry, started, readiness, &last_reload);
    exposition::add_all(&mut registry, metrics);
    exposition::answer(&registry, &headers)
}

pub(in crate::http) async fn ready(State(watched): State<Watched>) -> Result<Json<Health>, Failure> {
    let faults = spawn_blocking(move || watched.program.faults()).await;
    match faults.unwrap_or_else(|_| vec!["it cannot check its state"]) {
        faults if faults.is_empty() => Ok(Json(Health::READY)),
        faults => Err(unready("It", faults)),
    }
}
