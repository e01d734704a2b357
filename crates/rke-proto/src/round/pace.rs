//! When a RAIDA is sent a request, and resends.

use std::time::Duration;

/// When a RAIDA is sent a request, and resends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Wait before the first request: for RAIDAs that are only needed if others fail.
    pub ask_after: Duration,
    /// Wait before the first resend; each further wait is twice as long.
    pub first_resend: Duration,
    /// The limit on sends, the first one included.
    pub most_requests: u32,
}

impl Default for Pace {
    /// The pace for an unknown RAIDA, whose endpoint may belong to another machine.
    fn default() -> Self {
        Self { ask_after: Duration::ZERO, first_resend: Duration::from_millis(200), most_requests: 2 }
    }
}
