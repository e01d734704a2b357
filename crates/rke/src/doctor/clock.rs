//! The clock. RAIDAs refuse requests that are more than 300 seconds from their own time, so they tell when
//! it is wrong; before that, the system tells whether it is kept right.

use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp, Unit};
use rke_client::answer::{Raida, Raidas};

use super::report::Report;

/// How a RAIDA's refusal of the time is shown: status 198.
const REFUSED_TIME: &str = "(198)";

/// What two machines that are kept right may differ by.
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

/// To the second, as the daemon shows times.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

/// Compares the clock with what RAIDAs have said of the time of the daemon's requests.
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

/// Whether the last of chrony's fields is its word for a clock that is kept.
fn chrony_says(text: &str) -> bool {
    text.trim().rsplit(',').next() == Some("Normal")
}

fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_keepers_of_time_are_understood() {
        assert_eq!(["yes\n", "no\n", ""].map(systemd_says), [Some(true), Some(false), None]);
        assert!(chrony_says("C0A80001,192.168.0.1,3,1.2,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.1,64.0,Normal\n"));
        assert!(!chrony_says("00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,Not synchronised\n"));
    }

    /// What is found at this time where so many RAIDAs refuse with that fault, at noon, and so many others do well.
    fn found(refusing: usize, fault: &str, accepting: usize, now: &str) -> (usize, String) {
        let row = |at: usize| {
            let (state, fault) = if at < refusing { ("failing", Some(fault)) } else { ("well", None) };
            json!({"raida": at, "endpoint": null, "state": state, "last_ms": null, "median_ms": null, "asked": 1,
                "answered": 1, "lies": 0, "form": null, "last_fault": fault,
                "last_fault_at": fault.map(|_| "2026-11-30T12:00:00Z")})
        };
        let rows: Vec<_> = (0..refusing + accepting).map(row).collect();
        let known = json!({"required": 13, "margin": null, "raidas": rows});
        let mut report = Report::default();
        compare(&mut report, &serde_json::from_value(known).expect("RAIDAs"), now.parse().expect("a time"));
        (report.failures(), report.text())
    }

    #[test]
    fn a_time_that_most_raidas_refuse_is_the_clocks_fault() {
        let (time, later) = ("refused: bad parameter (198)", "2026-11-30T12:00:07Z");
        for (refusing, accepting) in [(25, 0), (13, 12)] {
            let (failures, text) = found(refusing, time, accepting, later);
            assert_eq!(failures, 1, "{text}");
            let message = format!(
                "{refusing} RAIDAs refused the daemon's time or its coin, last at 2026-11-30T12:00:00Z; here it is {later}"
            );
            assert!(
                text.contains(&message) && text.contains("set-ntp") && text.contains("--wallet"),
                "{text}"
            );
        }
        assert!(found(1, time, 0, later).1.contains("RAIDA 0 refused the daemon's time"));
        for (failures, text) in [found(12, time, 13, later), found(1, time, 24, later)] {
            assert!(
                failures == 0 && text.contains("refused a time that") && text.contains("their clocks"),
                "{text}"
            );
        }
        for fault in ["no answer", "refused: nothing listens at its port"] {
            assert!(!found(25, fault, 0, later).1.contains("clock"));
        }
    }

    #[test]
    fn a_clock_that_was_put_back_since_is_not_called_wrong() {
        let (failures, text) = found(25, "refused: bad parameter (198)", 0, "2026-11-30T11:00:00Z");
        assert!(failures == 0 && text.contains("it was put back since"), "{text}");
    }
}
