//! Limits on how often something is used. Each use takes one from the user's allowance, which refills with time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rke_engine::model::clock::Moment;
use rke_engine::settings::access::CreationLimit;

/// How many users are tracked at one time. A user keeps an entry for long only by using the allowance faster than
/// it refills.
const MAX_USERS: usize = 1024;

/// Each user may use `most` at once, and one more for each `every` that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) most: u32,
    pub(crate) every: Duration,
}

impl From<CreationLimit> for Allowance {
    fn from(limit: CreationLimit) -> Self {
        Self { most: limit.burst.max(1), every: Duration::from_secs(1) / limit.rate.max(1) }
    }
}

/// Holds each user to an allowance.
pub(crate) struct RateLimit(Mutex<Users>);

struct Users {
    allowance: Allowance,
    /// When the allowance of each user will be full again.
    full_at: HashMap<String, Moment>,
}

impl RateLimit {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self(Mutex::new(Users { allowance, full_at: HashMap::new() }))
    }

    /// Replaces the allowance. If it is another one, everybody begins with all of it: what was used up of the old one took its time
    /// to come back, which may be days.
    pub(crate) fn set(&self, allowance: Allowance) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if users.allowance != allowance {
            *users = Users { allowance, full_at: HashMap::new() };
        }
    }

    /// Takes one use.
    ///
    /// # Errors
    /// How long `user` has to wait.
    pub(crate) fn take(&self, user: &str, now: Moment) -> Result<(), Duration> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Users { allowance: Allowance { most, every }, full_at } = &mut *users;
        let used = full_at.get(user).map_or(Duration::ZERO, |full_at| full_at.since(now));
        let room = *every * (*most - 1);
        if used > room {
            return Err(used - room);
        }
        if full_at.len() >= MAX_USERS && !full_at.contains_key(user) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= MAX_USERS {
                return Err(*every);
            }
        }
        full_at.insert(user.into(), now.after(used + *every));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
