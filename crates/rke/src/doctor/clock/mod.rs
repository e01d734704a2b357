//! The clock. RAIDAs refuse requests whose time is more than 300 seconds from their own, so their refusals show
//! that the clock is wrong. The system itself can report earlier whether the clock is synchronized.

use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp, Unit};
use rke_client::response::{Raida, Raidas};

use super::report::Report;

/// How a RAIDA's refusal of a request's time appears: status 198.
const REFUSED_TIME: &str = "(198)";

/// The most by which two synchronized machines may differ.
const A_MINUTE: SignedDuration = SignedDuration::from_mins(1);

const SET_IT: &str = "compare `date -u` with another clock, and have it set: timedatectl set-ntp true. \
                      If it is right, look at the coins: rke doctor --wallet DIR";

pub(super) fn check(report: &mut Report, known: Option<&Raidas>) {
    if let Some(known) = known {
        compare(report, known, now());
    }
    match is_kept() {
        Some(true) => report.ok("clock", "it is kept right over the network"),
        Some(false) => report.warn("clock", "nothing keeps it right", "timedatectl set-ntp true"),
        None => report.warn(
            "clock",
            "neither systemd nor chrony tells whether it is right",
            "compare `date -u` with another clock: RAIDAs refuse more than 300 seconds of difference",
        ),
    }
}

/// Rounded to the second, as the daemon shows times.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

/// Compares the clock with the RAIDAs' responses to the time of the daemon's requests.
fn compare(report: &mut Report, known: &Raidas, now: Timestamp) {
    let refuses = |raida: &&Raida| {
        let refused = raida.last_fault.as_ref().is_some_and(|fault| fault.contains(REFUSED_TIME));
        raida.state == "failing" && refused
    };
    let refusing: Vec<&Raida> = known.raidas.iter().filter(refuses).collect();
    let accepting =
        known.raidas.iter().filter(|raida| matches!(raida.state.as_str(), "well" | "lying")).count();
    let last = refusing.iter().filter_map(|raida| raida.last_fault_at).max();
    let (Some(last), count) = (last, refusing.len()) else { return };
    let who = match refusing[..] {
        [raida] => format!("RAIDA {}", raida.raida),
        _ => format!("{count} RAIDAs"),
    };
    if count <= accepting {
        let message = format!("{who} refused a time that {accepting} others accepted");
        report.warn("clock", message, "tell those who run them that their clocks are probably wrong");
    } else if last.duration_since(now) > A_MINUTE {
        let message =
            format!("it is {now}, but {who} refused the daemon's time at {last}: it was put back since");
        report.warn("clock", message, "open a session: the RAIDAs may accept the time now");
    } else {
        let message =
            format!("{who} refused the daemon's time or its coin, last at {last}; here it is {now}");
        report.fail("clock", message, SET_IT);
    }
}

fn is_kept() -> Option<bool> {
    let systemd = || printed("timedatectl", &["show", "--property=NTPSynchronized", "--value"]);
    let chrony = || printed("chronyc", &["-c", "tracking"]);
    systemd().and_then(|text| systemd_says(&text)).or_else(|| chrony().map(|text| chrony_says(&text)))
}

fn systemd_says(text: &str) -> Option<bool> {
    match text.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Whether the last of chrony's fields is `Normal`, which means that the clock is synchronized.
fn chrony_says(text: &str) -> bool {
    text.trim().rsplit(',').next() == Some("Normal")
}

fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests;
