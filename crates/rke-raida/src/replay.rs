//! A memory of what must not be accepted twice. It never forgets early: when it is full, its user has to
//! refuse, and no holder fills it alone. `docs/protocol.md` sections 5 and 7.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Places of a memory, unless something else is said. They are taken as they are needed.
pub const DEFAULT_PLACES: usize = 1 << 20;

/// A memory has this many equal parts, and no holder fills more than one of them.
pub const SHARES: usize = 16;

/// Seconds that a timestamp may differ from the clock.
pub const WINDOW_SECONDS: u64 = 300;

/// The memory, or the part of it that one holder may have, is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room to remember this, so it cannot be accepted")]
pub struct Full;

struct Entry<H, V> {
    holders: Box<[H]>,
    value: V,
}

/// Values by their keys, each until its time is over, each on the account of its holders: coins, say.
pub struct ReplayMemory<H, K, V> {
    places: usize,
    entries: HashMap<K, Entry<H, V>>,
    /// How many places each holder has.
    held: HashMap<H, usize>,
    /// By the second from which on they are forgotten.
    due: BTreeMap<u64, Vec<K>>,
}

impl<H: Hash + Eq + Clone, K: Hash + Eq + Clone, V> ReplayMemory<H, K, V> {
    /// An empty memory for this many at most. With fewer than [`SHARES`] places it holds nothing.
    pub fn new(places: usize) -> Self {
        Self { places, entries: HashMap::new(), held: HashMap::new(), due: BTreeMap::new() }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is remembered under a key at `now`, in Unix seconds.
    pub fn look_up(&mut self, key: &K, now: u64) -> Option<&V> {
        self.forget_due(now);
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The same, to be changed.
    pub fn look_up_mut(&mut self, key: &K, now: u64) -> Option<&mut V> {
        self.forget_due(now);
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Whether one more would be remembered on the account of these holders, at `now` in Unix seconds.
    pub fn has_room(&mut self, holders: &[H], now: u64) -> bool {
        self.forget_due(now);
        let most_each = self.places / SHARES;
        let has_place = |holder| self.held.get(holder).copied().unwrap_or(0) < most_each;
        self.entries.len() < self.places && holders.iter().all(has_place)
    }

    /// Remembers a value from `now` until `until`, in Unix seconds: then it is forgotten. A holder that is named twice
    /// counts once. What is remembered already stays as it is.
    ///
    /// # Errors
    /// [`Full`]; then nothing is remembered, and what was asked for must be refused.
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

    fn forget_due(&mut self, now: u64) {
        while let Some(due) = self.due.first_entry().filter(|due| *due.key() <= now) {
            for key in due.remove() {
                if let Some(entry) = self.entries.remove(&key) {
                    entry.holders.iter().for_each(|holder| self.give_back(holder));
                }
            }
        }
    }

    fn give_back(&mut self, holder: &H) {
        if let Some(held) = self.held.get_mut(holder) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: char = 'a';
    const BERT: char = 'b';

    type Memory = ReplayMemory<char, u32, u32>;

    fn remember(memory: &mut Memory, key: u32, holders: &[char], until: u64) -> Result<(), Full> {
        memory.remember(key, holders, key * 2, (1000, until))
    }

    #[test]
    fn what_is_remembered_is_found_until_its_time_is_over() {
        let mut memory = Memory::new(32);
        for (key, until) in [(1, 1301), (2, 1300), (3, 1302)] {
            assert_eq!(remember(&mut memory, key, &[], until), Ok(()));
        }
        let found = |memory: &mut Memory, now| [1, 2, 3].map(|key| memory.look_up(&key, now).copied());
        assert_eq!(found(&mut memory, 1299), [Some(2), Some(4), Some(6)]);
        assert_eq!(found(&mut memory, 1300), [Some(2), None, Some(6)]);
        assert_eq!(found(&mut memory, 1301), [None, None, Some(6)]);
        assert_eq!(found(&mut memory, 1302), [None; 3]);
        assert!(memory.is_empty() && memory.held.is_empty() && memory.due.is_empty());
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let mut memory = Memory::new(32);
        for key in 0..32 {
            let holder = char::from_u32(key / 2 + 97).expect("a letter");
            assert!(memory.has_room(&[holder], 1000), "{key}");
            assert_eq!(remember(&mut memory, key, &[holder], 1301), Ok(()));
        }
        assert!(!memory.has_room(&['z'], 1000) && !memory.has_room(&[], 1000));
        assert_eq!(remember(&mut memory, 32, &['z'], 1301), Err(Full));
        assert_eq!(remember(&mut memory, 32, &[], 1301), Err(Full));
        assert!((0..32).all(|key| memory.look_up(&key, 1300) == Some(&(key * 2))));
        assert_eq!(memory.look_up(&32, 1300), None);
    }

    #[test]
    fn a_holder_gets_a_sixteenth_and_the_others_their_own() {
        let mut memory = Memory::new(64);
        for key in 0..4 {
            assert_eq!(remember(&mut memory, key, &[ANNA], 1301), Ok(()));
        }
        assert!(!memory.has_room(&[ANNA], 1000) && memory.has_room(&[BERT], 1000));
        assert_eq!(remember(&mut memory, 4, &[ANNA], 1301), Err(Full));
        assert_eq!(remember(&mut memory, 4, &[BERT, ANNA], 1301), Err(Full), "each of them counts");
        assert_eq!(memory.held.get(&BERT), None, "a refusal costs nothing");
        for key in 4..8 {
            assert_eq!(remember(&mut memory, key, &[BERT], 1301), Ok(()));
        }
        assert_eq!(memory.len(), 8);
    }

    #[test]
    fn both_holders_pay_and_one_that_is_named_twice_pays_once() {
        let mut memory = Memory::new(32);
        assert_eq!(remember(&mut memory, 1, &[ANNA, ANNA], 1301), Ok(()));
        assert_eq!(remember(&mut memory, 2, &[ANNA, BERT], 1301), Ok(()));
        assert_eq!((memory.held[&ANNA], memory.held[&BERT]), (2, 1));
        assert!(!memory.has_room(&[ANNA], 1000) && memory.has_room(&[BERT], 1000));
    }

    #[test]
    fn places_are_free_again_when_the_time_is_over() {
        let mut memory = Memory::new(16);
        assert_eq!(remember(&mut memory, 1, &[ANNA], 1100), Ok(()));
        assert!(!memory.has_room(&[ANNA], 1099));
        assert!(memory.has_room(&[ANNA], 1100));
        assert_eq!(memory.remember(2, &[ANNA], 0, (1100, 1200)), Ok(()));
    }

    #[test]
    fn what_is_remembered_already_stays_and_takes_no_second_place() {
        let mut memory = Memory::new(16);
        assert_eq!(memory.remember(1, &[ANNA], 7, (1000, 1100)), Ok(()));
        assert_eq!(memory.remember(1, &[ANNA], 8, (1000, 1200)), Ok(()));
        assert_eq!(memory.look_up(&1, 1099), Some(&7));
        assert_eq!(memory.len(), 1);
        assert_eq!(memory.look_up(&1, 1100), None);
    }

    #[test]
    fn places_are_taken_as_they_are_needed() {
        let memory = Memory::new(DEFAULT_PLACES);
        assert_eq!((memory.entries.capacity(), memory.held.capacity()), (0, 0));
    }
}
