//! The RAIDA directory that a daemon's guardians agree on.

use jiff::Timestamp;
use serde::Deserialize;

/// What the guardians agree on.
#[derive(Debug, Clone, Deserialize)]
pub struct RaidaDirectory {
    /// The number of guardians.
    pub guardians: usize,
    /// How many of them must agree.
    pub needed: usize,
    /// The last time they agreed on a RAIDA.
    pub agreed_at: Option<Timestamp>,
    /// The last time the daemon asked them.
    pub asked_at: Option<Timestamp>,
    /// How many of them returned a list that time.
    pub answered: Option<usize>,
    /// Guardians that returned no list, or one that differs from the majority's.
    pub faults: Vec<GuardianFault>,
    /// The RAIDAs that they agree on, now or earlier.
    pub raidas: Vec<DirectoryEntry>,
}

impl RaidaDirectory {
    /// The same directory as the counts that a daemon's status reports.
    pub fn counts(&self) -> DirectoryCounts {
        let Self { guardians, needed, agreed_at, .. } = *self;
        DirectoryCounts { guardians, needed, agreed_at, raidas: self.raidas.len() }
    }
}

/// A guardian that returned no usable list.
#[derive(Debug, Clone, Deserialize)]
pub struct GuardianFault {
    /// Its URL.
    pub guardian: String,
    /// What went wrong.
    pub fault: String,
}

/// A RAIDA's addresses, as the guardians list them.
#[derive(Debug, Clone, Deserialize)]
pub struct DirectoryEntry {
    /// Its index.
    pub raida: u8,
    /// Its addresses.
    pub endpoints: Vec<String>,
    /// How many guardians list these addresses.
    pub guardians: usize,
    /// The last time they agreed on them.
    pub agreed_at: Timestamp,
}

/// The counts of a directory.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct DirectoryCounts {
    /// The number of guardians.
    pub guardians: usize,
    /// How many of them must agree.
    pub needed: usize,
    /// RAIDAs that they agree on, now or earlier.
    pub raidas: usize,
    /// The last time they agreed on one.
    pub agreed_at: Option<Timestamp>,
}
