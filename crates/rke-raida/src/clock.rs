//! The time of day as the wire has it. Whoever is pure gets it from the caller.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
