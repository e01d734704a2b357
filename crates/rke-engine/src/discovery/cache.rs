//! What DNS said lately: records for their time to live, and at most five minutes; failures for five seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RecordType};

use crate::model::clock::Moment;

/// Longest time that records are kept, whatever they say themselves.
const MAX_TTL: Duration = Duration::from_secs(300);

/// How long failures are kept.
const FAILURE_TTL: Duration = Duration::from_secs(5);

/// Questions whose answers are kept. Users of the daemon choose the names, so there must be an end to it.
const MAX_ENTRIES: usize = 2048;

/// Answers `T` or failures `E` to questions.
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
    /// What was said at most its time to live ago.
    pub(super) fn get(&self, name: &Name, record: RecordType, now: Moment) -> Option<Result<T, E>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&(name.clone(), record)).filter(|entry| now < entry.good_until)?;
        Some(entry.said.clone())
    }

    /// Keeps what was said, with the seconds for which its records live.
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

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[test]
    fn records_live_as_long_as_they_say_but_not_for_long_and_failures_are_short() {
        let (cache, now) = (Cache::<u8, &str>::default(), Moment::now());
        for (said, lives) in [(Ok((1, 60)), 60), (Ok((2, 86_400)), 300), (Ok((3, 0)), 0), (Err("no"), 5)] {
            cache.put(&name("a.test."), RecordType::SRV, &said, now);
            let at = |seconds| {
                cache.get(&name("A.test."), RecordType::SRV, now.after(Duration::from_secs(seconds)))
            };
            assert_eq!(at(lives), None, "{said:?}");
            if lives > 0 {
                assert_eq!(at(lives - 1), Some(said.map(|(said, _)| said)));
            }
        }
        assert!(cache.get(&name("a.test."), RecordType::TXT, now).is_none());
    }

    #[test]
    fn it_has_an_end() {
        let (cache, now) = (Cache::<u8, ()>::default(), Moment::now());
        for at in 0..MAX_ENTRIES + 10 {
            cache.put(&name(&format!("{at}.test.")), RecordType::A, &Ok((1, 60)), now);
        }
        assert!(cache.0.lock().expect("unpoisoned").len() <= MAX_ENTRIES);
        cache.clear();
        assert!(cache.get(&name("5.test."), RecordType::A, now).is_none());
    }
}
