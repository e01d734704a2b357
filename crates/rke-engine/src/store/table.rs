//! Sessions by id. Each lies where the hash of its id says, or in one of the next places: among a million, what
//! costs is each place in memory that is in no cache, and a map with a directory of its own has two of them.

use std::hash::BuildHasher;
use std::mem::replace;

use foldhash::quality::RandomState;
use rke_secret::prefetch;

use super::entry::Entry;
use crate::model::session_id::SessionId;

/// Fewest places of a table that has any.
const MIN_PLACES: usize = 8;

/// By what part of its places a full table grows: by more it would be half empty for long, and a place takes as much
/// memory without a session as with one.
const GROWTH: usize = 4;

/// Where a session may lie: two lines of a processor's cache, and not parts of three.
#[repr(align(64))]
#[derive(Default)]
struct Place(Option<(SessionId, Entry)>);

/// Sessions by id. The hash is seeded, so that times tell nobody which ids there are; it is a quick one and no more, for
/// all ids in here are random, and all that a place could tell is some 20 of an id's 128 bits.
#[derive(Default)]
pub(super) struct Table {
    places: Box<[Place]>,
    hash: RandomState,
    len: usize,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Entry> {
        self.places[self.find(id)?].0.as_ref().map(|(_, entry)| entry)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Entry> {
        let at = self.find(id)?;
        self.places[at].0.as_mut().map(|(_, entry)| entry)
    }

    /// Has the processor fetch the places where a session of this id is likely to lie: the second is looked at in any
    /// case when it goes.
    pub(super) fn fetch(&self, id: SessionId) {
        if !self.places.is_empty() {
            let home = self.home(id);
            prefetch(&self.places[home]);
            prefetch(&self.places[self.after(home)]);
        }
    }

    /// Adds a session whose id no other has.
    pub(super) fn insert(&mut self, id: SessionId, entry: Entry) {
        debug_assert!(self.find(id).is_none(), "a session id was given out twice");
        // A quarter of the places stays free, so that few have to be looked at.
        if 4 * (self.len + 1) > 3 * self.places.len() {
            self.resize((self.places.len() + self.places.len() / GROWTH).max(MIN_PLACES));
        }
        self.put(id, entry);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Entry> {
        let at = self.find(id)?;
        let (_, entry) = self.places[at].0.take()?;
        entry.session.key.cipher().fetch();
        self.len -= 1;
        self.close_gap(at);
        // Soon after it was too large: a crowd in one part would keep its places for long, and within an hour each part
        // has had one.
        if self.places.len() > MIN_PLACES && 4 * self.len < self.places.len() {
            self.resize((self.places.len() / 2).max(MIN_PLACES));
        }
        Some(entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Entry)> {
        self.places.iter().filter_map(|place| place.0.as_ref()).map(|(id, entry)| (*id, entry))
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.places.iter_mut().filter_map(|place| place.0.as_mut()).map(|(_, entry)| entry)
    }

    /// The place where a session of this id lies if no other is there.
    fn home(&self, id: SessionId) -> usize {
        let hash = u128::from(self.hash.hash_one(id));
        // The hash as a part of one, of all places: any number of them has its share, without a division.
        ((hash * self.places.len() as u128) >> u64::BITS) as usize
    }

    /// The place behind this one; behind the last comes the first.
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }

    /// How many places further `at` lies than `from`.
    fn distance(&self, from: usize, at: usize) -> usize {
        if at < from { at + self.places.len() - from } else { at - from }
    }

    /// Where a session is. Where there are places, some are free, so each search ends.
    fn find(&self, id: SessionId) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut at = self.home(id);
        while let Some((other, _)) = &self.places[at].0 {
            if *other == id {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    fn resize(&mut self, places: usize) {
        let places = (0..places).map(|_| Place::default()).collect();
        let before = replace(&mut self.places, places);
        before.into_iter().filter_map(|place| place.0).for_each(|(id, entry)| self.put(id, entry));
    }

    /// Puts a session where it belongs; there is room.
    fn put(&mut self, id: SessionId, entry: Entry) {
        let mut at = self.home(id);
        while self.places[at].0.is_some() {
            at = self.after(at);
        }
        self.places[at].0 = Some((id, entry));
    }

    /// Moves sessions up that would not be found any more with nothing in this place.
    fn close_gap(&mut self, mut gap: usize) {
        let mut at = self.after(gap);
        while let Some((id, _)) = &self.places[at].0 {
            if self.distance(self.home(*id), at) >= self.distance(gap, at) {
                self.places.swap(gap, at);
                gap = at;
            }
            at = self.after(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::{rules, session};
    use super::*;
    use crate::model::clock::Moment;

    /// An entry that can be told from others by its deadline.
    fn entry(number: u64) -> Entry {
        let mut entry = Entry::new(session(0), &rules(1, std::time::Duration::from_secs(60)));
        entry.queued = Moment::now().after(std::time::Duration::from_secs(number));
        entry
    }

    fn check(table: &Table, model: &BTreeMap<SessionId, Moment>) {
        assert_eq!(table.len(), model.len());
        assert!(model.iter().all(|(id, queued)| table.get(*id).is_some_and(|entry| entry.queued == *queued)));
        let all: BTreeMap<_, _> = table.iter().map(|(id, entry)| (id, entry.queued)).collect();
        assert!(all == *model && 4 * table.len() <= 3 * table.places.len());
        assert!(table.places.len() <= MIN_PLACES.max(4 * table.len()));
    }

    #[test]
    fn a_session_takes_two_lines_of_the_cache() {
        assert_eq!(size_of::<Place>(), 2 * 64);
    }

    #[tokio::test]
    async fn it_holds_what_a_map_would_through_any_order_of_insertions_and_removals() {
        let (mut table, mut model) = (Table::default(), BTreeMap::new());
        let ids: Vec<SessionId> = (0..200).map(|_| SessionId::random().expect("random bytes")).collect();
        assert!(table.get(ids[0]).is_none() && table.remove(ids[0]).is_none());
        table.fetch(ids[0]);
        for step in 0..20_000_usize {
            // Few ids, so that places are given up and taken again, with growth in the first steps.
            let id = ids[(step * step + step / 7) % ids.len()];
            match model.remove(&id) {
                Some(queued) => {
                    assert!(table.get_mut(id).is_some_and(|entry| entry.queued == queued));
                    assert!(table.remove(id).is_some_and(|entry| entry.queued == queued));
                    assert!(table.get(id).is_none() && table.remove(id).is_none());
                }
                None => {
                    let entry = entry(step as u64);
                    model.insert(id, entry.queued);
                    table.insert(id, entry);
                }
            }
            if step % 50 == 0 {
                check(&table, &model);
            }
        }
        check(&table, &model);
        for id in ids {
            assert_eq!(table.remove(id).is_some(), model.remove(&id).is_some());
            check(&table, &model);
        }
    }

    #[tokio::test]
    async fn sessions_that_belong_in_one_place_are_found_however_the_others_go() {
        let mut table = Table::default();
        table.insert(SessionId([0; 16]), entry(0));
        let last = table.places.len() - 1;
        let ids = (1..=u16::MAX).map(|number| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            SessionId(bytes)
        });
        // The last place, so that the others begin anew with the first.
        let crowd: Vec<SessionId> = ids.filter(|id| table.home(*id) == last).take(5).collect();
        crowd.iter().for_each(|id| table.insert(*id, entry(1)));
        assert_eq!(table.places.len() - 1, last);
        for (gone, id) in crowd.iter().enumerate() {
            assert!(table.remove(*id).is_some());
            assert!(crowd[gone + 1..].iter().all(|id| table.get(*id).is_some()));
            assert!(crowd[..=gone].iter().all(|id| table.get(*id).is_none()));
        }
        assert!(table.get(SessionId([0; 16])).is_some());
    }
}
