//! What a search of memory for a wiped key found.

use rke_secret::memory_scan::MemoryScan;

/// What was found after a deletion with a receipt, here and on the machines that had a copy of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// The scan of this process. Its bytes and hits are those of all machines that searched.
    pub scan: MemoryScan,
    /// How many machines searched. `None` if no others share the sessions.
    pub machines: Option<usize>,
}

impl Search {
    /// The search of a daemon that shares its sessions with nobody.
    pub fn here(scan: MemoryScan) -> Self {
        Self { scan, machines: None }
    }
}
