//! A part of the sessions, behind a lock of its own: a map that grows, or a sweep of many that end together,
//! holds up only those who want a session in the same part.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::entry::Entry;
use super::table::Table;
use super::{Rules, SessionId};
use crate::clock::Moment;

/// How many deadlines may be out of date in any case.
const SPARE: usize = 64;

/// A part of the sessions, and their deadlines.
///
/// What a deadline belongs to may have gone, or end at another time by now. Then it is passed over when its
/// turn comes: taking a session out of the middle of an order would cost more than all else about a deletion.
/// The first deadline is never out of date.
#[derive(Default)]
pub(super) struct Shard {
    entries: Table,
    deadlines: BinaryHeap<Reverse<(Moment, SessionId)>>,
    /// The first of them: known without a look at the heap, which is in no cache when a session ends that is
    /// not its first.
    first_deadline: Option<Moment>,
}

impl Shard {
    pub(super) fn insert(&mut self, id: SessionId, entry: Entry) {
        self.queue(entry.queued, id);
        self.entries.insert(id, entry);
    }

    pub(super) fn fetch(&self, id: SessionId) {
        self.entries.fetch(id);
    }

    pub(super) fn live(&mut self, id: SessionId, now: Moment, rules: &Rules) -> Option<&mut Entry> {
        self.entries.get_mut(id).filter(|entry| !entry.has_ended(now, rules))
    }

    pub(super) fn take(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.outdated(entry.queued, id);
        Some(entry)
    }

    /// Takes all that `chosen` says yes to.
    pub(super) fn take_all(&mut self, chosen: impl Fn(&Entry) -> bool) -> Vec<(SessionId, Entry)> {
        let ids: Vec<SessionId> =
            self.entries.iter().filter(|(_, entry)| chosen(entry)).map(|(id, _)| id).collect();
        ids.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    /// Takes sessions that have ended, `most` of them, and gives the next deadline where it took all. One
    /// that was used since it was put in order is put there again: uses themselves leave the order as it is,
    /// to stay quick.
    pub(super) fn take_ended(
        &mut self,
        now: Moment,
        rules: &Rules,
        most: usize,
        ended: &mut Vec<(SessionId, Entry)>,
    ) -> Option<Moment> {
        while let Some((deadline, id)) = self.first() {
            if deadline > now || ended.len() >= most {
                return Some(deadline);
            }
            if self.live(id, now, rules).is_some() {
                self.requeue(id, rules);
            } else if let Some(entry) = self.take(id) {
                ended.push((id, entry));
            }
        }
        None
    }

    /// Puts a session where its end belongs in the order of deadlines.
    pub(super) fn requeue(&mut self, id: SessionId, rules: &Rules) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let (before, now) = (entry.queued, entry.end(rules));
        if before != now {
            entry.queued = now;
            self.queue(now, id);
            self.outdated(before, id);
        }
    }

    pub(super) fn requeue_all(&mut self, rules: &Rules) {
        self.entries.entries_mut().for_each(|entry| entry.queued = entry.end(rules));
        self.put_in_order();
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (SessionId, &Entry)> {
        self.entries.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those that have ended and wait to be swept.
    pub(super) fn count_ended(&self, now: Moment, rules: &Rules) -> usize {
        if self.first_deadline.is_none_or(|deadline| deadline > now) {
            return 0;
        }
        self.entries.iter().filter(|(_, entry)| entry.has_ended(now, rules)).count()
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
        self.entries.get(*id).is_some_and(|entry| entry.queued == *deadline)
    }

    /// Makes the order anew, in no more memory than it takes until the next time.
    fn put_in_order(&mut self) {
        let mut deadlines = std::mem::take(&mut self.deadlines).into_vec();
        deadlines.clear();
        deadlines.shrink_to(2 * self.entries.len() + SPARE + 1);
        deadlines.extend(self.entries.iter().map(|(id, entry)| Reverse((entry.queued, id))));
        self.deadlines = deadlines.into();
        self.first_deadline = self.first().map(|(deadline, _)| deadline);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{id, rules, session};
    use super::*;

    #[test]
    fn deadlines_of_sessions_that_are_gone_do_not_pile_up() {
        let (mut shard, rules) = (Shard::default(), rules(16, Duration::from_secs(60)));
        // What stands first stays, so that none goes because its turn has come.
        shard.insert(id(0), Entry::new(session(0), &rules));
        for round in 0..1000_u32 {
            let id = id((round % 200) as u8 + 1);
            shard.insert(id, Entry::new(session(1), &rules));
            assert!(shard.take(id).is_some());
        }
        assert!(shard.deadlines.len() <= 2 + SPARE, "{}", shard.deadlines.len());
        assert_eq!(shard.first().map(|(_, first)| first == id(0)), Some(true));
        assert!(shard.take(id(0)).is_some() && shard.first().is_none());
    }

    #[test]
    fn what_is_swept_next_is_there_whatever_went_or_moved_before_it() {
        let (mut shard, short) = (Shard::default(), rules(16, Duration::from_secs(60)));
        let long = rules(16, Duration::from_secs(600));
        for byte in 0..4 {
            shard.insert(id(byte), Entry::new(session(byte), &short));
        }
        shard.insert(id(9), Entry::new(session(9), &long));
        // The second moves behind all others; the third goes, then the first, which uncovers both.
        let renewed = shard.live(id(1), Moment::now(), &long).expect("a session");
        renewed.renew(Moment::now(), &long);
        shard.requeue(id(1), &long);
        assert!(shard.take(id(2)).is_some() && shard.take(id(0)).is_some());
        let (in_a_while, mut ended) = (Moment::now().after(Duration::from_secs(61)), Vec::new());
        assert_eq!(shard.count_ended(in_a_while, &short), 1);
        let next = shard.take_ended(in_a_while, &short, 64, &mut ended);
        assert!(ended.len() == 1 && ended[0].0 == id(3) && shard.len() == 2);
        assert_eq!(next, shard.entries.get(id(9)).map(|entry| entry.queued));
    }
}
