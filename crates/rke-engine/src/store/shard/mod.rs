//! A part of the sessions, behind its own lock. A map that grows, or a sweep of many sessions that end together,
//! delays only operations on the same shard.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::entry::Entry;
use super::{CopyTerms, KeyError, KeyUse, NewSession, SessionInfo, SessionLimits, Standing};
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;

/// How many outdated deadlines are always tolerated.
const SPARE: usize = 64;

/// A map with a capacity of at most this many sessions is never shrunk.
const SPARE_ROOM: usize = 8;

/// A session that was taken out, and its end according to the rules.
pub(super) struct Taken {
    pub(super) session: NewSession,
    pub(super) end: Moment,
}

/// A part of the sessions, and their deadlines.
///
/// A deadline is outdated if its session is gone or now ends at another time. An outdated deadline is skipped when it
/// comes up: removing it from the middle of the order would cost more than the rest of a deletion. The first deadline
/// is never outdated.
pub(super) struct Shard {
    /// Copied into each shard, so that a look-up finds them next to its session.
    rules: SessionLimits,
    /// Boxed, because a table that has just grown is half empty, and with its id inside: a place of eight bytes is more
    /// often in the CPU's cache.
    entries: HashTable<Box<Entry>>,
    /// Seeded, so response times do not reveal which ids exist. It need not be stronger, because ids are random already.
    hasher: RandomState,
    deadlines: BinaryHeap<Reverse<(Moment, SessionId)>>,
    /// The first deadline. Reading it here avoids touching the heap, which is not in the CPU's cache when a session
    /// ends that is not the first.
    first_deadline: Option<Moment>,
    /// Grows with each change of what `row` returns for any session.
    pub(super) changes: u64,
}

impl Shard {
    pub(super) fn new(rules: SessionLimits) -> Self {
        Self {
            rules,
            entries: HashTable::new(),
            hasher: RandomState::default(),
            deadlines: BinaryHeap::new(),
            first_deadline: None,
            changes: 0,
        }
    }

    /// Adds a session. Returns its row and its first deadline.
    pub(super) fn insert(
        &mut self,
        id: SessionId,
        session: NewSession,
        now: Moment,
    ) -> (SessionInfo, Moment) {
        let entry = Entry::new(id, session, &self.rules, now);
        let (row, deadline) = (entry.row(), entry.queued);
        #[cfg(feature = "fault-injection")]
        crate::store::fault_injection::session_inserted(id, entry.session.key.cipher());
        self.queue(deadline, id);
        debug_assert!(self.get(id).is_none(), "a session id was given out twice");
        self.entries.insert_unique(self.hash(id), Box::new(entry), |entry| self.hasher.hash_one(entry.id));
        self.changes += 1;
        (row, deadline)
    }

    /// Puts a copy of a session in the place of an earlier one, which is returned.
    pub(super) fn hold(
        &mut self,
        id: SessionId,
        session: NewSession,
        copy: CopyTerms,
        now: Moment,
    ) -> Option<NewSession> {
        let earlier = self.take(id).map(|taken| taken.session);
        let entry = Entry::of_copy(id, session, copy, now);
        self.queue(entry.queued, id);
        self.entries.insert_unique(self.hash(id), Box::new(entry), |entry| self.hasher.hash_one(entry.id));
        self.changes += 1;
        earlier
    }

    /// Lets a copy be used for longer, and encrypt this much more.
    pub(super) fn extend(&mut self, id: SessionId, copy: CopyTerms, block: (u64, u64), now: Moment) {
        let Some(entry) = self.live(id, now) else { return };
        entry.extend(copy);
        entry.session.key.usage().grant(block.0, block.1);
        self.requeue(id);
        self.changes += 1;
    }

    /// Whether a copy can be used to encrypt this much.
    pub(super) fn standing(&mut self, id: SessionId, (messages, bytes): (u64, u64), now: Moment) -> Standing {
        let rules = self.rules;
        let Some(entry) = self.live(id, now) else { return Standing::Missing };
        let left = entry.session.key.usage().left(rules.usage);
        match messages <= left.0 && bytes <= left.1 {
            true => Standing::Held(entry.end(&rules)),
            false => Standing::Short,
        }
    }

    /// The session, if it has not ended by `now`.
    pub(super) fn live(&mut self, id: SessionId, now: Moment) -> Option<&mut Entry> {
        let hash = self.hash(id);
        let entry = self.entries.find_mut(hash, |entry| entry.id == id).map(Box::as_mut);
        entry.filter(|entry| !entry.has_ended(now, &self.rules))
    }

    fn get(&self, id: SessionId) -> Option<&Entry> {
        self.entries.find(self.hash(id), |entry| entry.id == id).map(Box::as_ref)
    }

    fn hash(&self, id: SessionId) -> u64 {
        self.hasher.hash_one(id)
    }

    /// Notes a use of a session's key, and returns what `of` takes from its keys, such as a handle.
    pub(super) fn use_key<H>(
        &mut self,
        id: SessionId,
        key_use: KeyUse,
        now: Moment,
        of: impl FnOnce(&SessionKey) -> H,
    ) -> Result<H, KeyError> {
        let limits = self.rules.usage;
        let entry = self.live(id, now).ok_or(KeyError::NotFound)?;
        entry.use_key(key_use, now, limits)?;
        let key = of(&entry.session.key);
        self.changes += 1;
        Ok(key)
    }

    /// Gives a session its full lifetime again.
    pub(super) fn renew(&mut self, id: SessionId, now: Moment) -> Option<SessionInfo> {
        let rules = self.rules;
        let entry = self.live(id, now)?;
        entry.renew(now, &rules);
        let row = entry.row();
        self.requeue(id);
        self.changes += 1;
        Some(row)
    }

    pub(super) fn take(&mut self, id: SessionId) -> Option<Taken> {
        let found = self.entries.find_entry(self.hash(id), |entry| entry.id == id);
        let (entry, _) = found.ok()?.remove();
        self.give_up_room();
        entry.note_change();
        self.outdated(entry.queued, id);
        self.changes += 1;
        Some(Taken { end: entry.end(&self.rules), session: entry.session })
    }

    /// Halves the map when more than three quarters of it are free. Otherwise a burst of sessions would keep its
    /// memory for hours, and within an hour each shard sees a burst.
    fn give_up_room(&mut self) {
        let room = self.entries.capacity();
        if room > SPARE_ROOM && 4 * self.entries.len() < room {
            self.entries.shrink_to(room / 2, |entry| self.hasher.hash_one(entry.id));
        }
    }

    /// Takes all sessions that `chosen` selects.
    pub(super) fn take_all(&mut self, chosen: impl Fn(&Entry) -> bool) -> Vec<(SessionId, Taken)> {
        let ids: Vec<SessionId> =
            self.entries.iter().filter(|entry| chosen(entry)).map(|entry| entry.id).collect();
        ids.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// Takes up to `most` sessions that have ended, and returns the next deadline. A session that was used since it
    /// was queued is queued again here: to stay fast, the uses themselves do not change the order.
    pub(super) fn take_ended(
        &mut self,
        now: Moment,
        most: usize,
        ended: &mut Vec<(SessionId, Taken)>,
    ) -> Option<Moment> {
        while let Some((deadline, id)) = self.first() {
            if deadline > now || ended.len() >= most {
                return Some(deadline);
            }
            if self.live(id, now).is_some() {
                self.requeue(id);
            } else if let Some(taken) = self.take(id) {
                ended.push((id, taken));
            }
        }
        None
    }

    /// Moves a session to the place of its end in the order of deadlines.
    fn requeue(&mut self, id: SessionId) {
        let hash = self.hash(id);
        let Some(entry) = self.entries.find_mut(hash, |entry| entry.id == id) else { return };
        let (before, now) = (entry.queued, entry.end(&self.rules));
        if before != now {
            entry.queued = now;
            self.queue(now, id);
            self.outdated(before, id);
        }
    }

    /// Applies other rules. `now` is read while this shard is locked, so no response has shown an end after it.
    pub(super) fn set_rules(&mut self, rules: SessionLimits, now: Moment) {
        let before = std::mem::replace(&mut self.rules, rules);
        self.entries.iter_mut().for_each(|entry| entry.change_rules(&before, &rules, now));
        self.put_in_order();
        self.changes += 1;
    }

    /// The sessions that have not ended by `now`.
    pub(super) fn all_live(&self, now: Moment) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().map(Box::as_ref);
        entries.filter(move |entry| !entry.has_ended(now, &self.rules))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many sessions have ended and wait to be swept.
    pub(super) fn count_ended(&self, now: Moment) -> usize {
        if self.first_deadline.is_none_or(|deadline| deadline > now) {
            return 0;
        }
        self.entries.iter().filter(|entry| entry.has_ended(now, &self.rules)).count()
    }

    fn first(&self) -> Option<(Moment, SessionId)> {
        self.deadlines.peek().map(|Reverse(first)| *first)
    }

    /// Adds a deadline.
    fn queue(&mut self, deadline: Moment, id: SessionId) {
        self.deadlines.push(Reverse((deadline, id)));
        self.first_deadline = Some(self.first_deadline.map_or(deadline, |first| first.min(deadline)));
    }

    /// Notes that a deadline is outdated. It is dropped if it is the first; all are dropped when they are more than
    /// half.
    fn outdated(&mut self, deadline: Moment, id: SessionId) {
        if self.deadlines.len() > 2 * self.entries.len() + SPARE {
            return self.put_in_order();
        }
        if self.first_deadline == Some(deadline) && self.first() == Some((deadline, id)) {
            self.deadlines.pop();
            while self.first().is_some_and(|first| !self.holds(&first)) {
                self.deadlines.pop();
            }
            self.first_deadline = self.first().map(|(deadline, _)| deadline);
        }
    }

    /// Whether a deadline belongs to a session and is up to date.
    fn holds(&self, (deadline, id): &(Moment, SessionId)) -> bool {
        self.get(*id).is_some_and(|entry| entry.queued == *deadline)
    }

    /// Rebuilds the order, with only as much memory as it needs until the next rebuild.
    fn put_in_order(&mut self) {
        let mut deadlines = std::mem::take(&mut self.deadlines).into_vec();
        deadlines.clear();
        deadlines.shrink_to(2 * self.entries.len() + SPARE + 1);
        deadlines.extend(self.entries.iter().map(|entry| Reverse((entry.queued, entry.id))));
        self.deadlines = deadlines.into();
        self.first_deadline = self.first().map(|(deadline, _)| deadline);
    }
}

#[cfg(test)]
mod tests;
