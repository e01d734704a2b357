//! When a RAIDA is asked, and asked again.

use std::time::Duration;

/// When a RAIDA is asked, and asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long to wait before asking: for RAIDAs that are only wanted if the others do not do.
    pub ask_after: Duration,
    /// Wait before the first resend; each further wait is twice as long.
    pub first_resend: Duration,
    /// How often it is asked at most.
    pub most_requests: u32,
}

impl Default for Pace {
    /// What suits a RAIDA of which nothing is known: there may be none, and somebody else at its endpoint.
    fn default() -> Self {
        Self { ask_after: Duration::ZERO, first_resend: Duration::from_millis(200), most_requests: 2 }
    }
}
