//! A part of the sessions, behind a lock of its own: a map that grows, or a sweep of many that end together,
//! holds up only those who want a session in the same part.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::quality::RandomState;

use super::entry::Entry;
use super::{KeyError, KeyUse, NewSession, Row, Rules};
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;

/// How many deadlines may be out of date in any case.
const SPARE: usize = 64;

/// A map with room for this many sessions or fewer is never made smaller.
const SPARE_ROOM: usize = 8;

/// A session that was taken out, and when it ends by the rules.
pub(super) struct Taken {
    pub(super) session: NewSession,
    pub(super) end: Moment,
}

/// A part of the sessions, and their deadlines.
///
/// What a deadline belongs to may have gone, or end at another time by now. Then it is passed over when its
/// turn comes: taking a session out of the middle of an order would cost more than all else about a deletion.
/// The first deadline is never out of date.
pub(super) struct Shard {
    /// Known to each part, so that whoever wants a session has them with it.
    rules: Rules,
    /// Boxed, because a map that has just grown is half empty. The hash is seeded, so response times do not tell which
    /// ids exist. It need not be stronger: ids are random already.
    entries: HashMap<SessionId, Box<Entry>, RandomState>,
    deadlines: BinaryHeap<Reverse<(Moment, SessionId)>>,
    /// The first of them: known without a look at the heap, which is in no cache when a session ends that is
    /// not its first.
    first_deadline: Option<Moment>,
    /// Grows with each change in the rows.
    pub(super) changes: u64,
}

impl Shard {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            entries: HashMap::default(),
            deadlines: BinaryHeap::new(),
            first_deadline: None,
            changes: 0,
        }
    }

    /// Adds a session. Gives its row, and its first deadline.
    pub(super) fn insert(&mut self, id: SessionId, session: NewSession) -> (Row, Moment) {
        let entry = Entry::new(session, &self.rules);
        let (row, deadline) = (entry.row(id), entry.queued);
        #[cfg(feature = "controls")]
        crate::store::fault_injection::session_inserted(id, entry.session.key.cipher());
        self.queue(deadline, id);
        let before = self.entries.insert(id, Box::new(entry));
        debug_assert!(before.is_none(), "a session id was given out twice");
        self.changes += 1;
        (row, deadline)
    }

    /// A session that has not ended by `now`.
    pub(super) fn live(&mut self, id: SessionId, now: Moment) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&id).map(Box::as_mut);
        entry.filter(|entry| !entry.has_ended(now, &self.rules))
    }

    /// Notes a use of a session's key, and gives the right to what `of` takes of its keys.
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

    /// Gives a session its whole time again.
    pub(super) fn renew(&mut self, id: SessionId, now: Moment) -> Option<Row> {
        let rules = self.rules;
        let entry = self.live(id, now)?;
        entry.renew(now, &rules);
        let row = entry.row(id);
        self.requeue(id);
        self.changes += 1;
        Some(row)
    }

    pub(super) fn take(&mut self, id: SessionId) -> Option<Taken> {
        let entry = self.entries.remove(&id)?;
        self.give_up_room();
        entry.note_change();
        self.outdated(entry.queued, id);
        self.changes += 1;
        Some(Taken { end: entry.end(&self.rules), session: entry.session })
    }

    /// Halves the map when three quarters of it are free: a crowd would keep its room for hours, and within an hour
    /// each part has had one.
    fn give_up_room(&mut self) {
        let room = self.entries.capacity();
        if room > SPARE_ROOM && 4 * self.entries.len() < room {
            self.entries.shrink_to(room / 2);
        }
    }

    /// Takes all that `chosen` says yes to.
    pub(super) fn take_all(&mut self, chosen: impl Fn(&Entry) -> bool) -> Vec<(SessionId, Taken)> {
        let ids: Vec<SessionId> =
            self.entries.iter().filter(|(_, entry)| chosen(entry)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// Takes sessions that have ended, `most` of them, and gives the next deadline where it took all. One
    /// that was used since it was put in order is put there again: uses themselves leave the order as it is,
    /// to stay quick.
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

    /// Puts a session where its end belongs in the order of deadlines.
    fn requeue(&mut self, id: SessionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (before, now) = (entry.queued, entry.end(&self.rules));
        if before != now {
            entry.queued = now;
            self.queue(now, id);
            self.outdated(before, id);
        }
    }

    /// Goes on by other rules.
    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
        self.entries.values_mut().for_each(|entry| entry.queued = entry.end(&rules));
        self.put_in_order();
        self.changes += 1;
    }

    /// Those that have not ended by `now`.
    pub(super) fn all_live(&self, now: Moment) -> impl Iterator<Item = (SessionId, &Entry)> {
        let entries = self.entries.iter().map(|(id, entry)| (*id, &**entry));
        entries.filter(move |(_, entry)| !entry.has_ended(now, &self.rules))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those that have ended and wait to be swept.
    pub(super) fn count_ended(&self, now: Moment) -> usize {
        if self.first_deadline.is_none_or(|deadline| deadline > now) {
            return 0;
        }
        self.entries.values().filter(|entry| entry.has_ended(now, &self.rules)).count()
    }

    fn first(&self) -> Option<(Moment, SessionId)> {
        self.deadlines.peek().map(|Reverse(first)| *first)
    }

    /// Adds a deadline.
    fn queue(&mut self, deadline: Moment, id: SessionId) {
        self.deadlines.push(Reverse((deadline, id)));
        self.first_deadline = Some(self.first_deadline.map_or(deadline, |first| first.min(deadline)));
    }

    /// A deadline has gone out of date. It goes when it is the first, or when such are more than half of all.
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

    /// Whether a deadline is that of a session.
    fn holds(&self, (deadline, id): &(Moment, SessionId)) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.queued == *deadline)
    }

    /// Makes the order anew, in no more memory than it takes until the next time.
    fn put_in_order(&mut self) {
        let mut deadlines = std::mem::take(&mut self.deadlines).into_vec();
        deadlines.clear();
        deadlines.shrink_to(2 * self.entries.len() + SPARE + 1);
        deadlines.extend(self.entries.iter().map(|(id, entry)| Reverse((entry.queued, *id))));
        self.deadlines = deadlines.into();
        self.first_deadline = self.first().map(|(deadline, _)| deadline);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::samples::session;
    use super::super::tests::{id, rules};
    use super::*;

    /// Checks the part against its sessions and their deadlines in a plain map, and that neither map nor deadlines keep
    /// more room than they may.
    fn check(shard: &Shard, model: &BTreeMap<SessionId, Moment>) {
        let all: BTreeMap<_, _> = shard.entries.iter().map(|(id, entry)| (*id, entry.queued)).collect();
        assert!(all == *model && shard.len() == model.len());
        assert_eq!(shard.first_deadline, model.values().min().copied());
        assert_eq!(shard.first().map(|(deadline, _)| deadline), shard.first_deadline);
        let (room, len) = (shard.entries.capacity(), shard.len());
        assert!(room <= SPARE_ROOM.max(4 * (len + 1)), "room for {room}, {len} are there");
        assert!(shard.deadlines.len() <= 2 * len + SPARE + 1);
    }

    #[test]
    fn it_holds_what_a_plain_map_would_through_any_order_of_insertions_and_removals() {
        let (mut shard, mut model) = (Shard::new(rules(1, Duration::ZERO)), BTreeMap::new());
        let ids: Vec<SessionId> = (0..200).map(|_| SessionId::random().expect("random bytes")).collect();
        assert!(shard.take(ids[0]).is_none());
        for step in 0..20_000_usize {
            // Few ids, so that room is given up and taken again, with growth in the first steps.
            let id = ids[(step * step + step / 7) % ids.len()];
            if let Some(queued) = model.remove(&id) {
                assert!(shard.take(id).is_some_and(|taken| taken.end == queued));
                assert!(shard.take(id).is_none());
            } else {
                // Deadlines in an order of their own.
                shard.rules.ttl = Duration::from_secs(60 + (step * 7919 % 997) as u64);
                model.insert(id, shard.insert(id, session(0)).1);
            }
            if step % 50 == 0 {
                check(&shard, &model);
            }
        }
        for id in ids {
            check(&shard, &model);
            assert_eq!(shard.take(id).is_some(), model.remove(&id).is_some());
        }
        check(&shard, &model);
    }

    #[test]
    fn among_many_a_session_takes_little_beside_its_keys() {
        // glibc adds 8 bytes to each block, and rounds up to 16. With the map's two places for each this is 164 bytes.
        assert!(size_of::<Entry>() <= 104, "{}", size_of::<Entry>());
    }

    #[test]
    fn deadlines_of_sessions_that_are_gone_do_not_pile_up() {
        let mut shard = Shard::new(rules(16, Duration::from_secs(60)));
        // What stands first stays, so that none goes because its turn has come.
        shard.insert(id(0), session(0));
        for round in 0..1000_u32 {
            let id = id((round % 200) as u8 + 1);
            shard.insert(id, session(1));
            assert!(shard.take(id).is_some());
        }
        assert!(shard.deadlines.len() <= 2 + SPARE, "{}", shard.deadlines.len());
        assert_eq!(shard.first().map(|(_, first)| first == id(0)), Some(true));
        assert!(shard.take(id(0)).is_some() && shard.first().is_none());
    }

    #[test]
    fn the_room_of_many_deadlines_is_given_up_when_few_are_left() {
        let mut shard = Shard::new(rules(16, Duration::from_secs(60)));
        let ids: Vec<SessionId> = (0..2000_u128).map(|number| SessionId(number.to_be_bytes())).collect();
        for id in &ids {
            shard.insert(*id, session(1));
        }
        let most = shard.deadlines.capacity();
        // The first stays, so that no deadline goes because its turn has come.
        assert!(most >= 2000 && ids[1..].iter().all(|id| shard.take(*id).is_some()));
        assert!(shard.deadlines.capacity() <= most / 4, "{} of {most}", shard.deadlines.capacity());
    }

    #[test]
    fn what_is_swept_next_is_there_whatever_went_or_moved_before_it() {
        let (short, long) = (rules(16, Duration::from_secs(60)), rules(16, Duration::from_secs(600)));
        let mut shard = Shard::new(short);
        for byte in 0..4 {
            shard.insert(id(byte), session(byte));
        }
        shard.rules = long;
        shard.insert(id(9), session(9));
        // The second moves behind all others; the third goes, then the first, which uncovers both.
        assert!(shard.renew(id(1), Moment::now()).is_some());
        shard.rules = short;
        assert!(shard.take(id(2)).is_some() && shard.take(id(0)).is_some());
        let (in_a_while, mut ended) = (Moment::now().after(Duration::from_secs(61)), Vec::new());
        assert_eq!(shard.count_ended(in_a_while), 1);
        let next = shard.take_ended(in_a_while, 64, &mut ended);
        assert!(ended.len() == 1 && ended[0].0 == id(3) && shard.len() == 2);
        assert_eq!(next, shard.entries.get(&id(9)).map(|entry| entry.queued));
    }
}
