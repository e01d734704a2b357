//! The running daemon: whether it answers, is of this version, holds keys well, and how its RAIDAs do.

use rke_client::answer::{Raidas, Status};
use rke_client::{Client, Error};

use super::report::Report;

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
            format!("{} pieces of deleted keys were found in the daemon's memory", memory.residues_found);
        report.fail("keys", message, "this is a bug in rke: report it, and restart the daemon");
    }
}

/// Asks it how its RAIDAs have been doing. Gives what went wrong with each last.
pub(super) async fn check_raidas(report: &mut Report, client: &Client, is_there: bool) -> Vec<String> {
    if !is_there {
        return Vec::new();
    }
    match client.raidas().await {
        Ok(known) => {
            raidas(report, &known);
            known
                .raidas
                .into_iter()
                .filter(|raida| raida.state == "failing")
                .filter_map(|raida| raida.last_fault)
                .collect()
        }
        Err(error) => {
            report.fail("raidas", error.to_string(), error.remedy());
            Vec::new()
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
