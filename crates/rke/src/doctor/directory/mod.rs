//! The RAIDA directory of a daemon with guardians: how much the guardians agree on, how old that is, and which of
//! them returned no usable list.

use jiff::{SignedDuration, Timestamp};
use rke_client::response::RaidaDirectory;

use super::report::Report;
use crate::show::counted;

/// The guardians are asked once a day, so a directory of this age is old.
const OLD: SignedDuration = SignedDuration::from_hours(3 * 24);

pub(super) fn check(report: &mut Report, known: &RaidaDirectory, now: Timestamp) {
    let message = counted(&known.counts());
    let see = "see the findings on its guardians, then run `rke raidas refresh`";
    match known.agreed_at {
        None => report.fail("directory", message, see),
        Some(at) if now.duration_since(at) > OLD => report.warn("directory", message, see),
        Some(_) => report.ok("directory", message),
    }
    let old = known.raidas.iter().filter(|row| now.duration_since(row.agreed_at) > OLD);
    let old: Vec<String> = old.map(|row| row.raida.to_string()).collect();
    if !old.is_empty() && known.agreed_at.is_some_and(|at| now.duration_since(at) <= OLD) {
        let message =
            format!("guardians have not agreed on these RAIDAs for over three days: {}", old.join(", "));
        report.warn("directory", message, "compare the lists of the guardians, and tell those who run them");
    }
    for fault in &known.faults {
        let message = format!("the guardian {}: {}", fault.guardian, fault.fault);
        report.warn("directory", message, "tell its operator, or name another one with --guardian");
    }
}

#[cfg(test)]
mod tests;
