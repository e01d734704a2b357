//! The clock. RAIDAs refuse requests that are more than 300 seconds from their own time, so they tell when
//! it is wrong; before that, the system tells whether it is kept right.

use std::process::{Command, Stdio};

use super::report::Report;

/// How a RAIDA's refusal of the time is shown: status 198.
const REFUSED_TIME: &str = "(198)";

/// Refusals of the time that are the clock's fault and not a RAIDA's.
const TOO_MANY: usize = 3;

pub(super) fn check(report: &mut Report, faults: &[String]) {
    let refused = faults.iter().filter(|fault| fault.contains(REFUSED_TIME)).count();
    if refused >= TOO_MANY {
        let message =
            format!("{refused} RAIDAs refused what the daemon sent, as they do where the time is wrong");
        report.fail(
            "clock",
            message,
            "compare `date -u` with another clock, and have it set: timedatectl set-ntp true",
        );
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
    use super::*;

    #[test]
    fn both_keepers_of_time_are_understood() {
        assert_eq!(["yes\n", "no\n", ""].map(systemd_says), [Some(true), Some(false), None]);
        assert!(chrony_says("C0A80001,192.168.0.1,3,1.2,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.1,64.0,Normal\n"));
        assert!(!chrony_says("00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,Not synchronised\n"));
    }

    #[test]
    fn many_refusals_of_the_time_are_the_clocks_fault() {
        let failures = |count: usize, fault: &str| {
            let mut report = Report::default();
            check(&mut report, &vec![fault.to_owned(); count]);
            report.failures()
        };
        assert_eq!(failures(13, "refused: bad parameter (198)"), 1);
        assert_eq!((failures(2, "refused: bad parameter (198)"), failures(13, "no answer")), (0, 0));
    }
}
