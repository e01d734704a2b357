//! What must not have happened, in any order in which the requests of a history can have been carried out. A request takes effect at some
//! moment between its begin and its end, so only what has begun after another has ended is certain to come after it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::history::{At, Disturbance, Event, Id, IsForgotten, Outcome, Place, Record, Trouble, What};

/// What the deployment was started with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promises {
    pub(super) max_sessions: usize,
    pub(super) hold: Duration,
}

/// How long after a disturbance a client may still be told to try again: the nodes connect again with pauses of up to two seconds.
const GRACE: Duration = Duration::from_secs(10);

/// The same after a new primary: an unknown id may still be known to the old one for 15 seconds, and what is accepted as well.
const SETTLING: Duration = Duration::from_secs(30);

/// How long after a slow request others may be told to try again: a connection to the store that took too long is made again.
const BUSY: Duration = Duration::from_secs(2);

/// One of this many requests may be told to try again for no reason that the history shows: a busy machine loses a copy now and then.
const RARE: usize = 200;

/// A session as far as the history shows it.
struct Session {
    created: Span,
    /// The begins and ends of all requests that may have ended it.
    endings: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    begin: At,
    end: At,
}

impl Record {
    /// Every violation in words.
    pub(super) fn violations(&self, promises: Promises) -> Vec<String> {
        let sessions = self.sessions();
        [
            self.uses_after_deletions(),
            self.uses_after_deletions_of_all(&sessions),
            self.uses_of_earlier_primaries(&sessions, promises.hold),
            self.second_deaths(),
            self.more_than(promises.max_sessions, &sessions),
            self.lost(&sessions),
            self.failures(&sessions, promises.hold),
        ]
        .concat()
    }

    /// Nothing on a session that began after its deletion was answered succeeds. At a Content Server, only a proof says that the key is wiped.
    fn uses_after_deletions(&self) -> Vec<String> {
        let (mut deleted, mut forgotten) = (HashMap::new(), HashMap::new());
        for event in self.done() {
            if let What::Delete(id, is_forgotten) = &event.what {
                let first = |times: &mut HashMap<Id, At>| {
                    let time = times.entry(Id::clone(id)).or_insert(event.end);
                    *time = event.end.min(*time);
                };
                first(&mut deleted);
                if *is_forgotten == IsForgotten::Yes {
                    first(&mut forgotten);
                }
            }
        }
        let is_late = |(event, id): &(&Event, &Id)| {
            let dead = if matches!(event.place, Place::Daemon(_)) { &deleted } else { &forgotten };
            dead.get(*id).is_some_and(|dead| *dead < event.begin)
        };
        self.uses().filter(is_late).map(|(event, _)| format!("used after its deletion: {event:?}")).collect()
    }

    fn uses_after_deletions_of_all(&self, sessions: &HashMap<Id, Session>) -> Vec<String> {
        let all: Vec<&Event> = self.done().filter(|event| event.what == What::DeleteAll).collect();
        let is_late = |(event, id): &(&Event, &Id)| {
            let created = sessions.get(*id).map(|session| session.created.end);
            let ends =
                |all: &&Event| created.is_some_and(|created| created < all.begin) && all.end < event.begin;
            matches!(event.place, Place::Daemon(_)) && all.iter().any(ends)
        };
        self.uses()
            .filter(is_late)
            .map(|(event, _)| format!("it lived after all were deleted: {event:?}"))
            .collect()
    }

    /// A copy of a session of an earlier primary is used until its hold is over, and not for longer.
    fn uses_of_earlier_primaries(&self, sessions: &HashMap<Id, Session>, hold: Duration) -> Vec<String> {
        let is_late = |(event, id): &(&Event, &Id)| {
            let created = sessions.get(*id).map(|session| session.created.end);
            let ends = |new: &Disturbance| {
                created.is_some_and(|created| created < new.begin) && new.end + hold < event.begin
            };
            self.new_primaries().any(ends)
        };
        self.uses()
            .filter(is_late)
            .map(|(event, _)| format!("it came back under another primary: {event:?}"))
            .collect()
    }

    fn second_deaths(&self) -> Vec<String> {
        let mut dead = HashSet::new();
        let again = self.deletions().filter(|(_, id)| !dead.insert(Id::clone(id)));
        again.map(|(event, _)| format!("it died twice: {event:?}")).collect()
    }

    /// Never more sessions than the limit: as daemons count them, and those that nothing can have ended yet.
    fn more_than(&self, max: usize, sessions: &HashMap<Id, Session>) -> Vec<String> {
        let counted = self.done().filter(|event| matches!(event.what, What::Count(count) if count > max));
        let mut found: Vec<String> = counted.map(|event| format!("more than the limit: {event:?}")).collect();
        let lives = sessions.values().filter_map(|session| {
            let begin = session.created.end;
            let ending = session.endings.iter().filter(|ending| ending.end >= session.created.begin);
            let end = ending.map(|ending| ending.begin).min().unwrap_or(At::MAX);
            (begin < end).then_some([(begin, 1), (end, -1)])
        });
        let mut changes: Vec<(At, i64)> = lives.flatten().collect();
        // At the same moment, ends come first.
        changes.sort_unstable();
        let mut alive = 0;
        for (at, change) in changes {
            alive += change;
            if alive > max as i64 {
                found.push(format!("{alive} sessions at {at:?}"));
            }
        }
        found
    }

    /// What nobody has deleted is there.
    fn lost(&self, sessions: &HashMap<Id, Session>) -> Vec<String> {
        let is_lost = |event: &&Event| {
            let (What::Use(id) | What::Delete(id, _)) = &event.what else { return false };
            let may_be_dead = sessions.get(id).is_none_or(|session| {
                let began = |ending: &Span| ending.begin <= event.end && ending.end >= session.created.begin;
                session.endings.iter().any(began)
            });
            event.outcome == Outcome::NotFound && !may_be_dead
        };
        self.events.iter().filter(is_lost).map(|event| format!("it was lost: {event:?}")).collect()
    }

    /// A client is told to try again only while something is disturbed or soon after, if its session is being deleted, or if the machine is
    /// too busy to use a key within its hold. Only a daemon that is disturbed does not respond.
    fn failures(&self, sessions: &HashMap<Id, Session>, hold: Duration) -> Vec<String> {
        let uses = self.events.iter().filter(|event| matches!(event.what, What::Use(_)));
        let busy: Vec<&Event> = uses.filter(|event| self.is_slow(event, hold)).collect();
        let is_excused = |event: &Event| {
            let is_busy = |slow: &&Event| event.end >= slow.begin && event.begin <= slow.end + BUSY;
            let of_disturbance = self.disturbances.iter().any(|disturbance| match disturbance.trouble {
                Trouble::NewPrimary => {
                    during(event, disturbance, SETTLING) && event.outcome != Outcome::NoResponse
                }
                Trouble::StoreAway => {
                    during(event, disturbance, GRACE) && event.outcome != Outcome::NoResponse
                }
                Trouble::Daemon(daemon) => {
                    during(event, disturbance, GRACE) && event.place == Place::Daemon(daemon)
                }
            });
            let is_own = is_being_ended(event, sessions) || busy.iter().any(is_busy);
            of_disturbance || (event.outcome != Outcome::NoResponse && is_own)
        };
        let unavailable: Vec<&Event> = self
            .events
            .iter()
            .filter(|event| matches!(event.outcome, Outcome::Unavailable(_)) && !is_excused(event))
            .collect();
        let fails = |event: &&Event| match event.outcome {
            Outcome::NoResponse => !is_excused(event),
            Outcome::Strange(_) => true,
            Outcome::Done | Outcome::NotFound | Outcome::Refused | Outcome::Unavailable(_) => false,
        };
        let failed = self.events.iter().filter(fails);
        let too_many = unavailable.into_iter().skip(self.events.len() / RARE);
        failed.chain(too_many).map(|event| format!("it failed: {event:?}")).collect()
    }

    /// Whether a request took longer than a hold, although its daemon was not disturbed.
    fn is_slow(&self, event: &Event, hold: Duration) -> bool {
        let is_disturbed = |disturbance: &Disturbance| match disturbance.trouble {
            Trouble::Daemon(daemon) => event.place == Place::Daemon(daemon),
            Trouble::StoreAway | Trouble::NewPrimary => false,
        };
        let is_long = event.end - event.begin >= hold;
        is_long
            && !self.disturbances.iter().any(|trouble| during(event, trouble, GRACE) && is_disturbed(trouble))
    }

    fn done(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.outcome == Outcome::Done)
    }

    fn uses(&self) -> impl Iterator<Item = (&Event, &Id)> {
        self.done().filter_map(|event| match &event.what {
            What::Use(id) => Some((event, id)),
            _ => None,
        })
    }

    fn deletions(&self) -> impl Iterator<Item = (&Event, &Id)> {
        self.done().filter_map(|event| match &event.what {
            What::Delete(id, _) => Some((event, id)),
            _ => None,
        })
    }

    fn new_primaries(&self) -> impl Iterator<Item = &Disturbance> {
        self.disturbances.iter().filter(|disturbance| disturbance.trouble == Trouble::NewPrimary)
    }

    /// All that were opened, with everything that may have ended them.
    fn sessions(&self) -> HashMap<Id, Session> {
        let is_tried = |event: &&Event| !matches!(event.outcome, Outcome::Refused | Outcome::NotFound);
        let of_all = |event: &&Event| event.what == What::DeleteAll;
        let span = |event: &Event| Span { begin: event.begin, end: event.end };
        // What was not confirmed may still happen.
        let until = |event: &Event| match event.outcome {
            Outcome::Unavailable(_) | Outcome::NoResponse => Span { end: At::MAX, ..span(event) },
            _ => span(event),
        };
        let mut of_everyone: Vec<Span> =
            self.events.iter().filter(is_tried).filter(of_all).map(until).collect();
        of_everyone.extend(self.new_primaries().map(|new| Span { begin: new.begin, end: new.end }));
        let created = self.done().filter_map(|event| match &event.what {
            What::Create(Some(id)) => {
                Some((Id::clone(id), Session { created: span(event), endings: of_everyone.clone() }))
            }
            _ => None,
        });
        let mut sessions: HashMap<Id, Session> = created.collect();
        for event in self.events.iter().filter(is_tried) {
            if let What::Delete(id, _) = &event.what
                && let Some(session) = sessions.get_mut(id)
            {
                session.endings.push(until(event));
            }
        }
        sessions
    }
}

/// Whether a deletion may have taken the copy of a key away while it was used.
fn is_being_ended(event: &Event, sessions: &HashMap<Id, Session>) -> bool {
    let What::Use(id) = &event.what else { return false };
    let overlaps = |ending: &Span| ending.end >= event.begin && ending.begin <= event.end;
    sessions.get(id).is_some_and(|session| session.endings.iter().any(overlaps))
}

fn during(event: &Event, disturbance: &Disturbance, grace: Duration) -> bool {
    event.end >= disturbance.begin && event.begin <= disturbance.end + grace
}

mod tests;
