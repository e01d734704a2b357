//! An allowance that is used up in steps of one and comes back with time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

/// At most `most` uses at once, one more for each `every` that passes.
pub(crate) struct Allowance {
    most: u32,
    every: Duration,
    /// When everything will have come back.
    full_at: Mutex<Moment>,
}

impl Allowance {
    pub(crate) fn new(most: u32, every: Duration) -> Self {
        Self { most, every, full_at: Mutex::new(Moment::now()) }
    }

    /// Uses it once.
    ///
    /// # Errors
    /// How long it is until it can be used again.
    pub(crate) fn take(&self, now: Moment) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let used = full_at.since(now);
        let room = self.every * (self.most - 1);
        if used > room {
            return Err(used - room);
        }
        *full_at = now.after(used + self.every);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_used_up_and_comes_back_one_by_one() {
        let allowance = Allowance::new(3, Duration::from_secs(10));
        let start = Moment::now();
        let at = |seconds| start.after(Duration::from_secs(seconds));
        assert!((0..3).all(|_| allowance.take(at(0)).is_ok()));
        assert_eq!(allowance.take(at(0)), Err(Duration::from_secs(10)));
        assert_eq!(allowance.take(at(4)), Err(Duration::from_secs(6)));
        assert!(allowance.take(at(10)).is_ok() && allowance.take(at(10)).is_err());
        assert!((0..3).all(|_| allowance.take(at(100)).is_ok()) && allowance.take(at(100)).is_err());
    }
}
