//! Recent results of look-ups: records are kept for their time to live, and at most five minutes; failures for five
//! seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RecordType};

use crate::model::clock::Moment;

/// How long records are kept at most, whatever their time to live.
const MAX_TTL: Duration = Duration::from_secs(300);

/// How long failures are kept.
const FAILURE_TTL: Duration = Duration::from_secs(5);

/// The most questions whose results are kept. Users of the daemon choose the names, so the number has to be limited.
const MAX_ENTRIES: usize = 2048;

/// The result `T` or the failure `E` of each question.
pub(super) struct Cache<T, E>(Mutex<HashMap<(Name, RecordType), Entry<T, E>>>);

struct Entry<T, E> {
    said: Result<T, E>,
    good_until: Moment,
}

impl<T, E> Default for Cache<T, E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone, E: Clone> Cache<T, E> {
    /// The cached result, if it is still valid.
    pub(super) fn get(&self, name: &Name, record: RecordType, now: Moment) -> Option<Result<T, E>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&(name.clone(), record)).filter(|entry| now < entry.good_until)?;
        Some(entry.said.clone())
    }

    /// Caches a result, with its time to live in seconds.
    pub(super) fn put(&self, name: &Name, record: RecordType, said: &Result<(T, u32), E>, now: Moment) {
        let (said, ttl) = match said {
            Ok((said, ttl)) => (Ok(said.clone()), Duration::from_secs((*ttl).into()).min(MAX_TTL)),
            Err(failure) => (Err(failure.clone()), FAILURE_TTL),
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| now < entry.good_until);
        }
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert((name.clone(), record), Entry { said, good_until: now.after(ttl) });
    }

    /// Clears the cache.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests;
