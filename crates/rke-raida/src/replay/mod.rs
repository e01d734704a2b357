//! A memory of what must not be accepted twice. It never forgets early: when it is full, its user has to refuse, and
//! no single holder can fill it. `docs/protocol.md` sections 5 and 7.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The default number of places. They are allocated as needed.
pub const DEFAULT_PLACES: usize = 1 << 20;

/// A memory has this many equal parts, and no holder fills more than one of them.
pub const SHARES: usize = 16;

/// Seconds that a timestamp may differ from the clock.
pub const WINDOW_SECONDS: u64 = 300;

/// The memory is full, or the part of it that one holder may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room to remember this, so it cannot be accepted")]
pub struct Full;

struct Entry<H, V> {
    holders: Box<[H]>,
    value: V,
}

/// Values by their keys, each until a given time and on the account of its holders, such as coins.
pub struct ReplayMemory<H, K, V> {
    places: usize,
    entries: HashMap<K, Entry<H, V>>,
    /// The number of places of each holder.
    held: HashMap<H, usize>,
    /// Keys by the second in which they are forgotten.
    due: BTreeMap<u64, Vec<K>>,
}

impl<H: Hash + Eq + Clone, K: Hash + Eq + Clone, V> ReplayMemory<H, K, V> {
    /// An empty memory with this many places. With fewer than [`SHARES`] it holds nothing.
    pub fn new(places: usize) -> Self {
        Self { places, entries: HashMap::new(), held: HashMap::new(), due: BTreeMap::new() }
    }

    /// The number of remembered values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many values it remembers at `now`, in Unix seconds, and how many it can.
    pub fn fill(&mut self, now: u64) -> (usize, usize) {
        self.remove_expired(now);
        (self.entries.len(), self.places)
    }

    /// The value under a key at `now`, in Unix seconds.
    pub fn look_up(&mut self, key: &K, now: u64) -> Option<&V> {
        self.remove_expired(now);
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The same, to be changed.
    pub fn look_up_mut(&mut self, key: &K, now: u64) -> Option<&mut V> {
        self.remove_expired(now);
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Whether one more value fits on the account of these holders, at `now` in Unix seconds.
    pub fn has_room(&mut self, holders: &[H], now: u64) -> bool {
        self.remove_expired(now);
        let most_each = self.places / SHARES;
        let has_place = |holder| self.held.get(holder).copied().unwrap_or(0) < most_each;
        self.entries.len() < self.places && holders.iter().all(has_place)
    }

    /// Remembers a value from `now` until `until`, in Unix seconds. A holder that is named twice counts once. A value
    /// that is remembered already stays as it is.
    ///
    /// # Errors
    /// [`Full`]; then nothing is remembered, and the caller must refuse the request.
    pub fn remember(
        &mut self,
        key: K,
        holders: &[H],
        value: V,
        (now, until): (u64, u64),
    ) -> Result<(), Full> {
        if self.look_up(&key, now).is_some() || until <= now {
            return Ok(());
        }
        if !self.has_room(holders, now) {
            return Err(Full);
        }
        let mut own: Vec<H> = Vec::with_capacity(holders.len());
        for holder in holders {
            if !own.contains(holder) {
                *self.held.entry(holder.clone()).or_default() += 1;
                own.push(holder.clone());
            }
        }
        self.due.entry(until).or_default().push(key.clone());
        self.entries.insert(key, Entry { holders: own.into(), value });
        Ok(())
    }

    fn remove_expired(&mut self, now: u64) {
        while let Some(due) = self.due.first_entry().filter(|due| *due.key() <= now) {
            for key in due.remove() {
                if let Some(entry) = self.entries.remove(&key) {
                    entry.holders.iter().for_each(|holder| self.release(holder));
                }
            }
        }
    }

    fn release(&mut self, holder: &H) {
        if let Some(held) = self.held.get_mut(holder) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(holder);
            }
        }
    }
}

#[cfg(test)]
mod tests;
