//! The running daemon: whether it answers, is of this version, holds keys well, and how its RAIDAs do.

use jiff::Timestamp;
use rke_client::answer::{Raidas, Sandbox, Status};
use rke_client::{Client, Error, call};
use serde_json::Value;

use super::directory;
use super::report::Report;
use crate::show::posture;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Asks it how it is doing.
pub(super) async fn check(report: &mut Report, client: &Client) -> Option<Status> {
    let status = match client.status().await {
        Ok(status) => status,
        Err(error) => {
            report.fail("daemon", error.to_string(), cure(&error));
            return None;
        }
    };
    match status.config.version.as_deref() {
        Some(VERSION) => {
            report.ok("daemon", format!("it answers at {}, version {VERSION}", client.address()))
        }
        other => report.warn(
            "daemon",
            format!("it has version {}, this program {VERSION}", other.unwrap_or("unknown")),
            "restart the daemon after an update, or update this program",
        ),
    }
    memory(report, &status);
    status.sandbox.iter().for_each(|sandbox| confinement(report, sandbox));
    let (sessions, max) = (status.sessions.active, status.sessions.max);
    match sessions < max {
        true => report.ok("sessions", format!("{sessions} of at most {max}")),
        false => report.warn(
            "sessions",
            format!("all {max} places are taken: no session can be opened"),
            "end some (`rke session list`, `rke session delete`), or raise --max-sessions",
        ),
    }
    Some(status)
}

/// Asks it whether it is ready for work.
pub(super) async fn check_ready(report: &mut Report, client: &Client) {
    match client.ask(&call::ready()).await {
        Ok(_) => report.ok("ready", "it says that it is ready for work"),
        Err(Error::TryLater(refusal)) => not_ready(report, &refusal.answer["reasons"]),
        Err(error) => report.warn("ready", error.to_string(), error.remedy()),
    }
}

fn not_ready(report: &mut Report, reasons: &Value) {
    for reason in reasons.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let cure = match reason {
            "the data directory cannot be written" => {
                "see that its data folder is there and belongs to its user; it is made at a new start"
            }
            "the data directory's disk is full" => "make room on that disk",
            "the audit log cannot be written" => {
                "see to the file of --audit-log and its disk; the daemon's log says more"
            }
            "it is stopping" => "start it anew",
            _ => "see the daemon's log",
        };
        report.fail("ready", reason, cure);
    }
}

fn cure(error: &Error) -> &'static str {
    match error {
        Error::NoDaemon { .. } => "start it with `rke serve`, or name another address with --daemon",
        Error::Token { .. } | Error::NotAllowed(_) => "name the daemon's token file with --token-file",
        other => other.remedy(),
    }
}

fn memory(report: &mut Report, status: &Status) {
    let memory = &status.secret_memory;
    match memory.kind.as_str() {
        "secretmem" => report.ok("keys", "the daemon holds keys in memory that not even root can read"),
        kind => report.warn(
            "keys",
            format!("the daemon holds keys in {kind} memory, which root can read"),
            "see the findings on memory; --secret-memory secretmem insists",
        ),
    }
    if memory.inspection != "refused" {
        report.fail(
            "keys",
            "debuggers and core dumps see everything in the daemon",
            "run it without --insecure-debug",
        );
    }
    if memory.residues_found > 0 {
        let message =
            format!("{} scratch stacks of the daemon had not been wiped after use", memory.residues_found);
        report.fail("keys", message, "this is a bug in rke: report it, and restart the daemon");
    }
}

/// What the kernel keeps it from, whoever has taken it over.
fn confinement(report: &mut Report, sandbox: &Sandbox) {
    let message = format!("the daemon {}", posture(sandbox));
    match sandbox.landlock != "off" && sandbox.seccomp && sandbox.no_new_privs {
        true => report.ok("sandbox", message),
        false => report.warn(
            "sandbox",
            message,
            "start it without --sandbox off, on Linux 5.19 or later; its log says what the kernel lacks",
        ),
    }
}

/// Asks it how its RAIDAs have been doing.
pub(super) async fn check_raidas(report: &mut Report, client: &Client) -> Option<Raidas> {
    match client.raidas().await {
        Ok(known) => {
            raidas(report, &known);
            known.directory.iter().for_each(|known| directory::check(report, known, Timestamp::now()));
            Some(known)
        }
        Err(error) => {
            report.fail("raidas", error.to_string(), error.remedy());
            None
        }
    }
}

fn raidas(report: &mut Report, known: &Raidas) {
    match known.margin {
        None => report.ok("raidas", "the daemon has not asked any yet"),
        Some(0) => report.fail(
            "raidas",
            "when the daemon asked last, there was none to spare: the next failure ends new sessions",
            "see `rke raidas`, and tell those who run the RAIDAs that fail",
        ),
        Some(margin) => report.ok("raidas", format!("when the daemon asked last, {margin} were to spare")),
    }
    for raida in known.raidas.iter().filter(|raida| raida.state == "lying") {
        report.warn(
            "raidas",
            format!("RAIDA {} gave a wrong share", raida.raida),
            "tell whoever runs it; its shares are left out",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(secret_memory: serde_json::Value) -> (usize, String) {
        let status = json!({"sessions": {"total": 0, "active": 0, "max": 16},
            "keystore": {"total": 0, "valid": 0, "expired": 0, "max": 64, "default_ttl_hours": 24},
            "config": {"session_timeout_sec": 3600}, "secret_memory": secret_memory});
        let mut report = Report::default();
        memory(&mut report, &serde_json::from_value(status).expect("a status"));
        (report.failures(), report.text())
    }

    #[test]
    fn a_daemon_that_does_not_hold_keys_well_is_found() {
        let memory = |kind: &str, inspection: &str, residues: u64| {
            found(json!({"kind": kind, "bytes": 1, "inspection": inspection, "residues_found": residues}))
        };
        assert_eq!(memory("secretmem", "refused", 0).0, 0);
        let (failures, text) = memory("locked", "allowed", 2);
        assert_eq!(failures, 2, "{text}");
        assert!(
            text.contains("root can read") && text.contains("debuggers") && text.contains("2 scratch stacks"),
            "{text}"
        );
    }

    #[test]
    fn a_daemon_without_its_sandbox_is_found() {
        let text = |landlock: &str, seccomp: bool| {
            let sandbox = json!({"landlock": landlock, "seccomp": seccomp, "no_new_privs": true});
            let mut report = Report::default();
            confinement(&mut report, &serde_json::from_value(sandbox).expect("a posture"));
            report.text()
        };
        let (closed, open) = (text("reads_and_writes", true), text("writes", true));
        assert!(!closed.contains("--sandbox") && !closed.contains("everywhere"), "{closed}");
        assert!(open.contains("reads everywhere") && open.contains("--wallet-root"), "{open}");
        assert!(!open.contains("--sandbox"), "{open}");
        for bad in [text("off", true), text("writes", false)] {
            assert!(bad.contains("--sandbox off"), "{bad}");
        }
    }

    #[test]
    fn each_reason_against_sending_work_is_a_failure() {
        let mut report = Report::default();
        not_ready(&mut report, &json!(["the audit log cannot be written", "a new one"]));
        assert!(report.failures() == 2 && report.text().contains("--audit-log"), "{}", report.text());
    }

    #[test]
    fn raidas_that_fail_and_lie_are_told() {
        let known = |margin: Option<usize>, state: &str| {
            let raida = json!({"raida": 7, "endpoint": null, "state": state, "last_ms": null, "median_ms": null,
                "asked": 1, "answered": 1, "lies": 1, "form": null, "last_fault": null, "last_fault_at": null});
            let known = json!({"required": 13, "margin": margin, "raidas": [raida]});
            let mut report = Report::default();
            raidas(&mut report, &serde_json::from_value(known).expect("RAIDAs"));
            (report.failures(), report.text())
        };
        assert_eq!((known(None, "unknown").0, known(Some(1), "well").0, known(Some(0), "well").0), (0, 0, 1));
        assert!(known(Some(1), "lying").1.contains("RAIDA 7 gave a wrong share"));
    }
}
