//! Keeps strangers from filling the disk: of lines that anyone can cause, only some go to the log each minute.

use std::sync::{Mutex, PoisonError};

/// How many of these lines are logged in one minute.
const LINES_PER_MINUTE: u64 = 30;

/// The lines of one kind.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// Minutes since 1970.
    minute: u64,
    logged: u64,
    left_out: u64,
}

impl LogLimit {
    /// Whether to log a line at `now`, in Unix seconds, and how many have been left out since the last one.
    pub(crate) fn take(&self, now: u64) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.minute != now / 60 {
            (lines.minute, lines.logged) = (now / 60, 0);
        }
        if lines.logged == LINES_PER_MINUTE {
            lines.left_out += 1;
            return None;
        }
        lines.logged += 1;
        Some(std::mem::take(&mut lines.left_out))
    }
}

#[cfg(test)]
mod tests;
