//! When a datagram goes out, and again: each wait is twice as long as the one before.

use std::time::Duration;

use super::{NOT_AGAIN, Pace};

/// The times of a datagram, or of several that go out together.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    first_resend: Duration,
    most: u32,
    pub(super) sent: u32,
    pub(super) next: Duration,
}

impl Sending {
    /// Begins at a time.
    pub(super) fn new(pace: Pace, begin: Duration) -> Self {
        Self { first_resend: pace.first_resend, most: pace.most_requests, sent: 0, next: begin }
    }

    /// Whether it is to be sent now. Then it counts as sent; no wait is longer than `longest`.
    pub(super) fn take_due(&mut self, now: Duration, longest: Duration) -> bool {
        if self.next > now {
            return false;
        }
        let wait = self.first_resend.saturating_mul(1 << self.sent.min(16));
        self.sent += 1;
        self.next = now + if self.sent < self.most { wait.min(longest) } else { NOT_AGAIN };
        true
    }

    /// Somebody is there who answers: from here on it is sent as often as it takes.
    pub(super) fn go_on(&mut self, now: Duration) {
        self.most = u32::MAX;
        self.next = self.next.min(now + self.first_resend);
    }

    /// There is something new to send.
    pub(super) fn at_once(&mut self, now: Duration) {
        self.next = now;
    }
}
