//! What may be told of the directory: to those who ask, and to the log.

use jiff::Timestamp;
use rke_proto::RaidaIndex;

use super::list::{Changes, Entry};

/// How the guardians were asked last.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// When that was done.
    pub at: Timestamp,
    /// How many of them gave a list.
    pub answered: usize,
    /// On how many RAIDAs enough of them agreed.
    pub agreed: usize,
    /// The URLs of those that gave none, or disagreed with most, and what they did instead.
    pub faults: Vec<(String, String)>,
}

/// What may be told of the directory.
#[derive(Debug, Clone)]
pub struct Report {
    /// How many guardians there are.
    pub guardians: usize,
    /// How many of them have to agree.
    pub needed: usize,
    /// How they were asked last, if they have been.
    pub last: Option<Refresh>,
    /// Where RAIDAs are.
    pub raidas: Vec<(RaidaIndex, Entry)>,
}

impl Report {
    /// When guardians last agreed on a RAIDA.
    pub fn agreed_at(&self) -> Option<Timestamp> {
        self.raidas.iter().map(|(_, entry)| entry.agreed_at).max()
    }
}

/// Why a refresh that was asked for changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RefreshError {
    /// There is nobody to ask.
    #[error("This daemon has no guardians to ask; start it with --guardian URL, at least three times")]
    NoGuardians,
    /// They do not agree on a single RAIDA.
    #[error(
        "The RAIDA directory is not refreshed: {answered} of {guardians} guardians gave a list, and {needed} have to \
         agree{}", listed(.faults)
    )]
    NoAgreement {
        /// How many guardians there are.
        guardians: usize,
        /// How many of them have to agree.
        needed: usize,
        /// How many gave a list.
        answered: usize,
        /// What went wrong with each.
        faults: Vec<(String, String)>,
    },
}

fn listed(faults: &[(String, String)]) -> String {
    let faults: Vec<String> = faults.iter().map(|(url, fault)| format!("{url}: {fault}")).collect();
    if faults.is_empty() { String::new() } else { format!(". {}", faults.join(". ")) }
}

/// Tells the log how the guardians did.
pub(super) fn tell(refresh: &Refresh, guardians: usize) {
    for (guardian, fault) in &refresh.faults {
        tracing::warn!(%guardian, "a guardian is of no use: {fault}");
    }
    let Refresh { answered, agreed, .. } = refresh;
    match *agreed {
        0 => tracing::warn!(
            guardians,
            answered,
            "the guardians agree on no RAIDA; the last list on which they did is kept"
        ),
        _ => {
            tracing::info!(guardians, answered, raidas = agreed, "the guardians agree on the RAIDA directory")
        }
    }
}

pub(super) fn tell_changes(changes: &Changes) {
    if !changes.is_empty() {
        tracing::warn!("the RAIDA directory has changed: {}", changes.join("; "));
    }
}
