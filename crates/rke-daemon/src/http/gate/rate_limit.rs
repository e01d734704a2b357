//! Limits that are used up in steps of one and come back with time, one for each of those who
//! use them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rke_engine::model::clock::Moment;

/// How many users are told apart at one time. Only who uses it faster than it comes back takes a
/// place for long.
const MAX_USERS: usize = 1024;

/// For each user at most `most` uses at once, one more for each `every` that passes.
pub(crate) struct RateLimit {
    most: u32,
    every: Duration,
    /// When everything will have come back, for those who have used some.
    full_at: Mutex<HashMap<String, Moment>>,
}

impl RateLimit {
    pub(crate) fn new(most: u32, every: Duration) -> Self {
        Self { most, every, full_at: Mutex::default() }
    }

    /// Uses it once.
    ///
    /// # Errors
    /// How long it is until `user` can use it again.
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
mod tests {
    use super::*;

    #[test]
    fn is_used_up_and_comes_back_one_by_one() {
        let limit = RateLimit::new(3, Duration::from_secs(10));
        let start = Moment::now();
        let take = |seconds| limit.take("a", start.after(Duration::from_secs(seconds)));
        assert!((0..3).all(|_| take(0).is_ok()));
        assert_eq!(take(0), Err(Duration::from_secs(10)));
        assert_eq!(take(4), Err(Duration::from_secs(6)));
        assert!(take(10).is_ok() && take(10).is_err());
        assert!((0..3).all(|_| take(100).is_ok()) && take(100).is_err());
    }

    #[test]
    fn each_user_has_its_own_and_their_number_is_bounded() {
        let limit = RateLimit::new(1, Duration::from_secs(1));
        let start = Moment::now();
        for user in 0..MAX_USERS {
            assert!(limit.take(&user.to_string(), start).is_ok());
        }
        assert!(limit.take("7", start).is_err() && limit.take("one more", start).is_err());
        let later = start.after(Duration::from_secs(1));
        assert!(limit.take("one more", later).is_ok());
        assert_eq!(limit.full_at.lock().expect("unpoisoned").len(), 1);
    }
}
