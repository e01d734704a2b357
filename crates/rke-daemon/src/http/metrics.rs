//! `/metrics`: what the daemon counts, as Prometheus reads it. Made when it is asked for, from what the
//! daemon keeps anyway. No label holds an id, a domain or a path.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rke_proto::MIN_REQUIRED;
use rke_secret::MemoryReport;

use super::Shared;
use super::admission::Admission;
use super::failure::Failure;
use crate::raidas::{self, State as RaidaState};
use crate::sessions::Sessions;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];

/// What the metrics are made of.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) sessions: Shared,
    pub(super) admission: Arc<Admission>,
}

pub(super) async fn show(State(sources): State<Sources>) -> Result<Response, Failure> {
    let mut registry = Registry::with_prefix("rke");
    of_sessions(&mut registry, &sources.sessions);
    of_raidas(&mut registry, &sources.sessions);
    of_refusals(&mut registry, &sources.admission);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| Failure::internal())?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn of_sessions(registry: &mut Registry, sessions: &Sessions) {
    let (stored, keys) = (sessions.store().count(), sessions.keystore().count());
    gauge(registry, "sessions", "Sessions that have not expired", stored.active as i64);
    gauge(registry, "sessions_max", "Most sessions at one time", sessions.config().max_sessions as i64);
    gauge(registry, "cached_keys", "Cached keys that have not expired", keys.valid as i64);
    let outcomes: Family<Label, Counter> = Family::default();
    for (outcome, count) in sessions.outcomes() {
        outcomes.get_or_create(&[("outcome", outcome.into())]).inc_by(count);
    }
    registry.register("session_creations", "Requests for a session by their outcome", outcomes);
    let residues: Counter = Counter::default();
    residues.inc_by(sessions.residues_found());
    registry.register("residues", "Pieces of deleted keys that receipts found: each is a bug", residues);
    let bytes = MemoryReport::now().map_or(0, |report| report.bytes);
    let memory: Gauge = Gauge::default();
    memory.set(bytes as i64);
    registry.register_with_unit("secret_memory", "Memory that is set aside for secrets", Unit::Bytes, memory);
}

fn of_raidas(registry: &mut Registry, sessions: &Sessions) {
    let rows = sessions.exchange().raidas().rows();
    let (asked, answered, wrong) = (
        Family::<Label, Counter>::default(),
        Family::<Label, Counter>::default(),
        Family::<Label, Counter>::default(),
    );
    let well = Family::<Label, Gauge>::default();
    let median = Family::<Label, Gauge<f64, AtomicU64>>::default();
    for row in &rows {
        let label = [("raida", row.raida.to_string())];
        asked.get_or_create(&label).inc_by(row.asked);
        answered.get_or_create(&label).inc_by(row.answered);
        wrong.get_or_create(&label).inc_by(row.lies);
        if row.state != RaidaState::Unknown {
            well.get_or_create(&label).set((row.state == RaidaState::Well).into());
        }
        if let Some(time) = row.median {
            median.get_or_create(&label).set(time.as_secs_f64());
        }
    }
    registry.register("raida_asked", "Exchanges that asked a RAIDA", asked);
    registry.register("raida_answered", "Exchanges in which a RAIDA gave a share", answered);
    registry.register("raida_wrong_shares", "Shares of a RAIDA that were wrong", wrong);
    registry.register("raida_well", "1 where a RAIDA gave a right share when it was asked last", well);
    let help = "Median time until a RAIDA answers";
    registry.register_with_unit("raida_answer_median", help, Unit::Seconds, median);
    if let Some(margin) = raidas::margin(&rows, MIN_REQUIRED.into()) {
        gauge(registry, "raida_margin", "RAIDAs that may still fail", margin as i64);
    }
}

fn of_refusals(registry: &mut Registry, admission: &Admission) {
    let refusals: Family<Label, Counter> = Family::default();
    for (rule, count) in admission.refusals().counts() {
        refusals.get_or_create(&[("rule", rule.name().into())]).inc_by(count);
    }
    registry.register("refusals", "Requests that were refused at the gate, by rule", refusals);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
