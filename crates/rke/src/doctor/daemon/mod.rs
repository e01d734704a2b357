//! The running daemon: whether it responds, has this version and protects its keys well, and how its RAIDAs are
//! doing.

use jiff::Timestamp;
use rke_client::response::{Raidas, Sandbox, Status};
use rke_client::{Client, Error, call};
use serde_json::Value;

use super::directory;
use super::report::Report;
use crate::show::posture;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Requests the daemon's status and checks it.
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
            report.ok("daemon", format!("it responds at {}, version {VERSION}", client.address()))
        }
        other => report.warn(
            "daemon",
            format!("it has version {}, this program {VERSION}", other.unwrap_or("unknown")),
            "restart the daemon after an update, or update this program",
        ),
    }
    if status.config.last_reload_successful == Some(false) {
        report.fail(
            "settings",
            "the daemon refused its settings when it last read them again, and uses those before",
            "its log names the fault; `rke serve --check-config` looks at the settings without a reload",
        );
    }
    memory(report, &status);
    status.sandbox.iter().for_each(|sandbox| confinement(report, sandbox));
    let (sessions, max) = (status.sessions.active, status.sessions.max);
    match sessions < max {
        true => report.ok("sessions", format!("{sessions} of at most {max}")),
        false => report.warn(
            "sessions",
            format!("all {max} places are taken: no session can be opened"),
            "end some (`rke session list`, `rke session delete`), or start the daemon with a higher --max-sessions",
        ),
    }
    Some(status)
}

/// Checks whether the daemon is ready for work.
pub(super) async fn check_ready(report: &mut Report, client: &Client) {
    match client.ask(&call::ready()).await {
        Ok(_) => report.ok("ready", "ready for work"),
        Err(Error::TryLater(refusal)) => not_ready(report, &refusal.response["reasons"]),
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
            "it is stopping" => "restart it",
            reason if reason.contains("store") => {
                "`rke doctor --store URL` looks at the store; docs/operations.md says what to do about each reason"
            }
            _ => "see the daemon's log",
        };
        report.fail("ready", reason, cure);
    }
}

fn cure(error: &Error) -> &'static str {
    match error {
        Error::NoDaemon { .. } => "start it with `rke serve`, or name another address with --daemon",
        Error::Silent { .. } => "see whether it is stopped or has too much to do; --timeout gives it longer",
        Error::NotAllowed(_) => "name the daemon's token file with --token-file",
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
            "see the findings on memory; a daemon that is started with --secret-memory secretmem insists",
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

/// Reports the rights that the kernel denies the daemon, even if an attacker controls it.
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

/// Requests the state of the daemon's RAIDAs and checks it.
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
            "no spare RAIDA when the daemon asked last: the next failure ends new sessions",
            "see `rke raidas`, and tell those who run the RAIDAs that fail",
        ),
        Some(margin) => report.ok("raidas", format!("spare RAIDAs when the daemon asked last: {margin}")),
    }
    for raida in known.raidas.iter().filter(|raida| raida.state == "no_key_set") {
        report.warn(
            "raidas",
            format!(
                "RAIDA {} responds, but says that it has no such key set: it has lost its data folder, or was not preloaded",
                raida.raida
            ),
            "tell its operator to look at `rke raida status`, and the Content Server's to preload it",
        );
    }
    for raida in known.raidas.iter().filter(|raida| raida.state == "lying") {
        report.warn(
            "raidas",
            format!("RAIDA {} gave a wrong share", raida.raida),
            "tell its operator; its shares are left out",
        );
    }
}

#[cfg(test)]
mod tests;
