//! Limits on how often something is used. Each use takes one from the user's allowance, which refills with time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rke_engine::model::clock::Moment;

/// How many users are tracked at one time. A user keeps an entry for long only by using the allowance faster than
/// it refills.
const MAX_USERS: usize = 1024;

/// Each user may use `most` at once, and one more for each `every` that passes.
pub(crate) struct RateLimit {
    most: u32,
    every: Duration,
    /// When the allowance of each user will be full again.
    full_at: Mutex<HashMap<String, Moment>>,
}

impl RateLimit {
    pub(crate) fn new(most: u32, every: Duration) -> Self {
        Self { most, every, full_at: Mutex::default() }
    }

    /// Takes one use.
    ///
    /// # Errors
    /// How long `user` has to wait.
    pub(crate) fn take(&self, user: &str, now: Moment) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let used = full_at.get(user).map_or(Duration::ZERO, |full_at| full_at.since(now));
        let room = self.every * (self.most - 1);
        if used > room {
            return Err(used - room);
        }
        if full_at.len() >= MAX_USERS && !full_at.contains_key(user) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= MAX_USERS {
                return Err(self.every);
            }
        }
        full_at.insert(user.into(), now.after(used + self.every));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
