//! What the daemon records about requests: a line in the log, and counters.

pub(super) mod observe;
pub mod traffic;
