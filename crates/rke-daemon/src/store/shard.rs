//! A part of the sessions, behind a lock of its own: a map that grows, or a sweep of many that end together,
//! holds up only those who want a session in the same part.

use std::collections::{BTreeSet, HashMap};

use super::entry::Entry;
use super::{Rules, SessionId};
use crate::clock::Moment;

/// A part of the sessions, and their deadlines in order.
#[derive(Default)]
pub(super) struct Shard {
    entries: HashMap<SessionId, Entry>,
    deadlines: BTreeSet<(Moment, SessionId)>,
}

impl Shard {
    pub(super) fn insert(&mut self, id: SessionId, entry: Entry) {
        self.deadlines.insert((entry.queued, id));
        self.entries.insert(id, entry);
    }

    pub(super) fn live(&mut self, id: SessionId, now: Moment, rules: &Rules) -> Option<&mut Entry> {
        self.entries.get_mut(&id).filter(|entry| !entry.has_ended(now, rules))
    }

    pub(super) fn take(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.deadlines.remove(&(entry.queued, id));
        Some(entry)
    }

    /// Takes all that `chosen` says yes to.
    pub(super) fn take_all(&mut self, chosen: impl Fn(&Entry) -> bool) -> Vec<(SessionId, Entry)> {
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
        rules: &Rules,
        most: usize,
        ended: &mut Vec<(SessionId, Entry)>,
    ) -> Option<Moment> {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
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
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.deadlines.remove(&(entry.queued, id));
        entry.queued = entry.end(rules);
        self.deadlines.insert((entry.queued, id));
    }

    pub(super) fn requeue_all(&mut self, rules: &Rules) {
        let ids: Vec<SessionId> = self.entries.keys().copied().collect();
        ids.into_iter().for_each(|id| self.requeue(id, rules));
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (SessionId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those that have ended and wait to be swept.
    pub(super) fn count_ended(&self, now: Moment, rules: &Rules) -> usize {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        due.filter(|(_, id)| self.entries.get(id).is_some_and(|entry| entry.has_ended(now, rules))).count()
    }
}
