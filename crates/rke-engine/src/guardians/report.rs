//! What may be shown about the directory: to clients, and in the log.

use jiff::Timestamp;
use rke_proto::RaidaIndex;

use super::list::{Changes, Entry};

/// How the last refresh went.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// When it was done.
    pub at: Timestamp,
    /// How many guardians gave a list.
    pub answered: usize,
    /// On how many RAIDAs enough guardians agreed.
    pub agreed: usize,
    /// The URLs of the guardians that gave no list, or disagreed with most, and what went wrong.
    pub faults: Vec<(String, String)>,
}

/// What may be shown about the directory.
#[derive(Debug, Clone)]
pub struct Report {
    /// How many guardians are configured.
    pub guardians: usize,
    /// How many of them have to agree.
    pub needed: usize,
    /// How the last refresh went, if there was one.
    pub last: Option<Refresh>,
    /// Where the RAIDAs are.
    pub raidas: Vec<(RaidaIndex, Entry)>,
}

impl Report {
    /// When guardians last agreed on a RAIDA.
    pub fn agreed_at(&self) -> Option<Timestamp> {
        self.raidas.iter().map(|(_, entry)| entry.agreed_at).max()
    }
}

/// Why a requested refresh changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RefreshError {
    /// No guardian is configured.
    #[error("This daemon has no guardians to ask; start it with --guardian URL, at least three times")]
    NoGuardians,
    /// The guardians do not agree on a single RAIDA.
    #[error(
        "The RAIDA directory is not refreshed: {answered} of {guardians} guardians gave a list, and {needed} have to \
         agree{}", listed(.faults)
    )]
    NoAgreement {
        /// How many guardians are configured.
        guardians: usize,
        /// How many of them have to agree.
        needed: usize,
        /// How many gave a list.
        answered: usize,
        /// What went wrong with each guardian.
        faults: Vec<(String, String)>,
    },
}

fn listed(faults: &[(String, String)]) -> String {
    let faults: Vec<String> = faults.iter().map(|(url, fault)| format!("{url}: {fault}")).collect();
    if faults.is_empty() { String::new() } else { format!(". {}", faults.join(". ")) }
}

/// Logs the result of a refresh.
pub(super) fn log_refresh(refresh: &Refresh, guardians: usize) {
    for (guardian, fault) in &refresh.faults {
        tracing::warn!(%guardian, "a guardian's list cannot be used: {fault}");
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
