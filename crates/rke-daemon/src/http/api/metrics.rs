//! `/metrics`: the daemon's counters, for Prometheus. The metrics are made on request, from values that the daemon
//! keeps anyway. No label contains an id, a domain or a path.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rke_engine::exchange::raidas::{self, State as RaidaState};
use rke_engine::journal::Journal;
use rke_engine::keys;
use rke_engine::sessions::Sessions;
use rke_engine::store::Count;
use rke_proto::MIN_REQUIRED;

use super::Shared;
use super::exposition::{self, Label, Readiness, Times};
use super::health;
use crate::http::gate::{Admission, Rule};
use crate::http::message::failure::Failure;
use crate::http::telemetry::traffic::Traffic;

/// The sources of the metrics.
#[derive(Clone)]
pub(in crate::http) struct Sources {
    pub(in crate::http) sessions: Shared,
    pub(in crate::http) admission: Arc<Admission>,
    pub(in crate::http) traffic: Arc<Traffic>,
    pub(in crate::http) started: Timestamp,
}

pub(in crate::http) async fn show(
    State(sources): State<Sources>,
    State(health): State<health::Sources>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let mut registry = Registry::default();
    let readiness = Readiness::of(&health::reasons(health).await);
    let journal = sources.sessions.journal();
    exposition::add_process(&mut registry, sources.started, readiness, journal.last_reload());
    let ours = registry.sub_registry_with_prefix("rke");
    // Metrics of a store that other machines share are missing while it cannot be reached.
    let stored = sources.sessions.count().await.ok();
    let keys = sources.sessions.count_cached_keys().await.ok();
    of_sessions(ours, &sources.sessions, (stored, keys));
    of_journal(ours, journal);
    of_raidas(ours, &sources.sessions);
    of_refusals(ours, &sources.admission);
    of_traffic(ours, &sources.traffic);
    exposition::answer(&registry, &headers)
}

fn of_sessions(
    registry: &mut Registry,
    sessions: &Sessions,
    (stored, keys): (Option<Count>, Option<keys::Count>),
) {
    if let Some(stored) = stored {
        gauge(registry, "sessions", "Sessions that have not expired", stored.active as i64);
        if let Some(held) = stored.held {
            gauge(registry, "sessions_held", "Shared sessions whose keys this machine has", held as i64);
        }
    }
    gauge(registry, "sessions_max", "Most sessions at one time", sessions.config().max_sessions as i64);
    if let Some(keys) = keys {
        gauge(registry, "cached_keys", "Cached keys that have not expired", keys.valid as i64);
    }
    let outcomes: Family<Label, Counter> = Family::default();
    for (outcome, count) in sessions.outcomes() {
        outcomes.get_or_create(&[("outcome", outcome.into())]).inc_by(count);
    }
    registry.register("session_creations", "Requests for a session, by outcome", outcomes);
    let remote = sessions.count_remote_deletions();
    let help = "Deletions that Content Servers have not proven yet";
    gauge(registry, "remote_deletions_pending", help, remote.pending as i64);
    let confirmed: Counter = Counter::default();
    confirmed.inc_by(remote.confirmed);
    let help = "Deletions that Content Servers have proven";
    registry.register("remote_deletions_confirmed", help, confirmed);
    let exports: Counter = Counter::default();
    exports.inc_by(sessions.exports().total());
    registry.register("exports", "Keys exported", exports);
    let residues: Counter = Counter::default();
    residues.inc_by(sessions.residues_found());
    registry.register("residues", "Scratch stacks that memory scans found unwiped: each is a bug", residues);
}

fn of_journal(registry: &mut Registry, journal: &Journal) {
    let delays = Times::Single(journal.wipe_delays().counted());
    let help = "Time from the end of a session to the wipe of its key";
    registry.register_with_unit("wipe_delay", help, Unit::Seconds, delays);
    let exchanges = journal.exchanges();
    let exchanges =
        exchanges.iter().map(|(outcome, times)| ([("outcome", (*outcome).into())], times.counted()));
    let help = "Time that key exchanges took, by outcome";
    registry.register_with_unit("exchange_duration", help, Unit::Seconds, Times::Family(exchanges.collect()));
    let lost: Counter = Counter::default();
    lost.inc_by(journal.audit().lost());
    registry.register("audit_write_failures", "Events that are missing from the audit log", lost);
}

fn of_traffic(registry: &mut Registry, traffic: &Traffic) {
    gauge(registry, "connections", "Open connections", traffic.connections() as i64);
    let requests: Family<[(&'static str, String); 3], Counter> = Family::default();
    let mut times = Vec::new();
    for route in traffic.routes() {
        for (method, status, count) in route.responses() {
            let labels =
                [("route", route.path().into()), ("method", method.into()), ("status", status.into())];
            requests.get_or_create(&labels).inc_by(count);
        }
        times.push(([("route", route.path().to_owned())], route.times().counted()));
    }
    times.retain(|(_, times)| times.total() > 0);
    registry.register("http_requests", "Requests by route, method and kind of response", requests);
    let help = "Time until the response began, by route";
    registry.register_with_unit("http_request_duration", help, Unit::Seconds, Times::Family(times));
}

fn of_raidas(registry: &mut Registry, sessions: &Sessions) {
    let rows = sessions.raidas();
    let (asked, answered, wrong) = (
        Family::<Label, Counter>::default(),
        Family::<Label, Counter>::default(),
        Family::<Label, Counter>::default(),
    );
    let (well, without_key_set) = (Family::<Label, Gauge>::default(), Family::<Label, Gauge>::default());
    let median = Family::<Label, Gauge<f64, AtomicU64>>::default();
    for row in &rows {
        let label = [("raida", row.raida.to_string())];
        asked.get_or_create(&label).inc_by(row.asked);
        answered.get_or_create(&label).inc_by(row.answered);
        wrong.get_or_create(&label).inc_by(row.lies);
        if row.state != RaidaState::Unknown {
            well.get_or_create(&label).set((row.state == RaidaState::Well).into());
            without_key_set.get_or_create(&label).set((row.state == RaidaState::NoKeySet).into());
        }
        if let Some(time) = row.median {
            median.get_or_create(&label).set(time.as_secs_f64());
        }
    }
    registry.register("raida_asked", "Exchanges that asked a RAIDA", asked);
    registry.register("raida_answered", "Exchanges in which a RAIDA gave a share", answered);
    registry.register("raida_wrong_shares", "Shares of a RAIDA that were wrong", wrong);
    registry.register("raida_well", "1 if a RAIDA gave a right share when it was last asked", well);
    let help = "1 if a RAIDA said that it has no such key set when it was last asked";
    registry.register("raida_without_key_set", help, without_key_set);
    let help = "Median time until a RAIDA responds";
    registry.register_with_unit("raida_answer_median", help, Unit::Seconds, median);
    if let Some(margin) = raidas::margin(&rows, MIN_REQUIRED.into()) {
        gauge(
            registry,
            "raida_margin",
            "Spare RAIDAs: those that may fail before no session can be opened",
            margin as i64,
        );
    }
    if let Some(at) = sessions.directory().and_then(|report| report.agreed_at()) {
        let time = Gauge::<f64, AtomicU64>::default();
        time.set(at.as_duration().as_secs_f64());
        let help = "When guardians last agreed on the RAIDA directory";
        registry.register_with_unit("raida_directory_agreed_time", help, Unit::Seconds, time);
    }
}

fn of_refusals(registry: &mut Registry, admission: &Admission) {
    let refusals: Family<Label, Counter> = Family::default();
    // A rate does not see the event with which a counter appears.
    for rule in Rule::ALL {
        refusals.get_or_create(&[("rule", rule.name().into())]).inc_by(0);
    }
    for (rule, count) in admission.refusals().all().counts {
        refusals.get_or_create(&[("rule", rule.name().into())]).inc_by(count);
    }
    registry.register("refusals", "Rejected requests, by rule", refusals);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
