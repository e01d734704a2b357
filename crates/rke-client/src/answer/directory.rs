//! The RAIDA directory on which a daemon's guardians agree.

use jiff::Timestamp;
use serde::Deserialize;

/// What guardians agree on.
#[derive(Debug, Clone, Deserialize)]
pub struct RaidaDirectory {
    /// How many guardians there are.
    pub guardians: usize,
    /// How many of them have to agree.
    pub needed: usize,
    /// When they last agreed on a RAIDA.
    pub agreed_at: Option<Timestamp>,
    /// When they were asked last.
    pub asked_at: Option<Timestamp>,
    /// How many of them gave a list then.
    pub answered: Option<usize>,
    /// Those that gave none then, or disagreed with most.
    pub faults: Vec<GuardianFault>,
    /// The RAIDAs on which they agree or did earlier.
    pub raidas: Vec<DirectoryEntry>,
}

impl RaidaDirectory {
    /// What a daemon's status says of it.
    pub fn counts(&self) -> DirectoryCounts {
        let Self { guardians, needed, agreed_at, .. } = *self;
        DirectoryCounts { guardians, needed, agreed_at, raidas: self.raidas.len() }
    }
}

/// A guardian that was of no use.
#[derive(Debug, Clone, Deserialize)]
pub struct GuardianFault {
    /// Its URL.
    pub guardian: String,
    /// What it did.
    pub fault: String,
}

/// Where guardians say that a RAIDA is.
#[derive(Debug, Clone, Deserialize)]
pub struct DirectoryEntry {
    /// Its index.
    pub raida: u8,
    /// Its addresses.
    pub endpoints: Vec<String>,
    /// How many guardians said so.
    pub guardians: usize,
    /// When they did last.
    pub agreed_at: Timestamp,
}

/// How much guardians agree on.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct DirectoryCounts {
    /// How many guardians there are.
    pub guardians: usize,
    /// How many of them have to agree.
    pub needed: usize,
    /// RAIDAs on which they agree or did earlier.
    pub raidas: usize,
    /// When they last agreed on one.
    pub agreed_at: Option<Timestamp>,
}
