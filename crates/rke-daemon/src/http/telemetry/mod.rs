//! What is noted of requests: a line in the log, and counters.

pub(super) mod observe;
pub mod traffic;
