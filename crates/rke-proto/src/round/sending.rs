//! When a datagram is sent and resent: each wait is twice as long as the one before.

use std::time::Duration;

use super::{NEVER, Pace};

/// The schedule of a datagram, or of several that are sent together.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    first_resend: Duration,
    most: u32,
    pub(super) sent: u32,
    pub(super) next: Duration,
}

impl Sending {
    /// A schedule that begins at a time.
    pub(super) fn new(pace: Pace, begin: Duration) -> Self {
        Self { first_resend: pace.first_resend, most: pace.most_requests, sent: 0, next: begin }
    }

    /// Whether it is due. If so, it counts as sent; no wait is longer than `longest`.
    pub(super) fn take_due(&mut self, now: Duration, longest: Duration) -> bool {
        if self.next > now {
            return false;
        }
        let wait = self.first_resend.saturating_mul(1 << self.sent.min(16));
        self.sent += 1;
        self.next = now + if self.sent < self.most { wait.min(longest) } else { NEVER };
        true
    }

    /// Removes the limit of resends, because the RAIDA responds.
    pub(super) fn keep_resending(&mut self, now: Duration) {
        self.most = u32::MAX;
        self.next = self.next.min(now + self.first_resend);
    }

    /// Makes it due at once.
    pub(super) fn send_now(&mut self, now: Duration) {
        self.next = now;
    }
}
