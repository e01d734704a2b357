//! The latest events of sessions and keys, shown to people while the daemon runs. Whatever has to outlive the daemon
//! is in the audit log.
//!
//! Events are kept in a ring. Each event takes a number, which determines its place, and locks only that place: two
//! concurrent events wait for each other only if a whole ring lies between them. No thread holds two places, and a
//! thread that holds one takes no other lock. Requests rejected at the gate get no place but a count for each rule, so
//! that no page can push everything else out.

mod event;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rke_proto::handshake::ID_LEN;

pub use self::event::{Event, How, Kind, OtherEnd, Receipt, ShortId, Subject};
use crate::Domain;
use crate::model::clock::coarse_unix_seconds;
use crate::model::search::Search;
use crate::model::viewer::{Page, Viewer};

/// How many events are kept.
pub const KEPT: usize = 1000;

/// The events.
pub struct Activity {
    places: Box<[Mutex<Option<Event>>]>,
    /// The number of the next event.
    next: AtomicU64,
    /// Grows with each change, after the change was made.
    changes: AtomicU64,
    /// Requests rejected at the gate: one event for each rule, with the time of the latest.
    refused: Mutex<Vec<Event>>,
    /// The sessions whose used-up keys were noted, with the number of the event: no more than there are places.
    used_up: Mutex<HashMap<ShortId, u64>>,
}

/// The number of an event, used to add something to the event later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

impl Default for Activity {
    fn default() -> Self {
        Self {
            places: (0..KEPT).map(|_| Mutex::default()).collect(),
            next: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            refused: Mutex::default(),
            used_up: Mutex::default(),
        }
    }
}

impl Activity {
    /// The daemon has started to serve.
    pub fn daemon_started(&self) {
        self.push(self.now(Kind::DaemonStarted));
    }

    /// A session was opened, with a cached or a new key.
    pub fn session_created(&self, subject: Subject, from_cache: bool) {
        let detail = Some(if from_cache { "from_cache" } else { "new_shares" });
        self.push(Event { detail, ..self.now(Kind::SessionCreated).of(subject) });
    }

    /// A request for a session failed for this reason.
    pub fn session_refused(&self, domain: Domain, page: Option<Page>, reason: &'static str) {
        let refused = self.now(Kind::SessionRefused);
        self.push(Event { domain: Some(domain), page, detail: Some(reason), ..refused });
    }

    /// A session's expiry was postponed.
    pub fn session_renewed(&self, subject: Subject) {
        self.push(self.now(Kind::SessionRenewed).of(subject));
    }

    /// A session's key has reached its encryption limit. Further attempts are not noted again while that event is kept.
    /// Each refused request comes here, so the ring is not searched for the event.
    pub fn session_used_up(&self, subject: Subject) {
        let session = ShortId::of_session(subject.session);
        let mut noted = lock(&self.used_up);
        if noted.get(&session).is_some_and(|number| self.is_kept(*number)) {
            return;
        }
        let Number(number) = self.push(self.now(Kind::SessionUsedUp).of(subject));
        noted.retain(|_, number| self.is_kept(*number));
        noted.insert(session, number);
    }

    /// A session has ended, and its key is wiped. `deletion` is the key's name at the other end, if that is asked to
    /// wipe it too.
    pub fn session_ended(&self, subject: Subject, how: How, deletion: Option<[u8; ID_LEN]>) -> Number {
        let ended = self.now(how.kind()).of(subject);
        self.push(Event { receipt: Some(Receipt::new(how, deletion)), ..ended })
    }

    /// Adds a search of memory to the receipt of a session that has ended, unless the event was overwritten.
    pub fn memory_searched(&self, ended: Number, search: Search) {
        let mut place = self.place(ended.0);
        let Some(event) = place.as_mut().filter(|event| event.number == ended.0) else { return };
        let page = event.page.clone();
        if let Some(receipt) = &mut event.receipt {
            receipt.wipe = Some(Box::new(search));
        }
        drop(place);
        self.changed(page.as_ref());
    }

    /// Cached keys, of one domain or all, were removed.
    pub fn keys_forgotten(&self, domain: Option<Domain>, count: usize) {
        self.push(Event { domain, count: count as u64, ..self.now(Kind::KeysForgotten) });
    }

    /// A Content Server has proven that it wiped the key or resumption with this id.
    pub fn remote_deletion_confirmed(&self, deletion: [u8; ID_LEN]) {
        self.settle(deletion, Kind::RemoteDeletionConfirmed, OtherEnd::Forgotten);
    }

    /// It has not proven that before the lifetime was over.
    pub fn remote_deletion_given_up(&self, deletion: [u8; ID_LEN]) {
        self.settle(deletion, Kind::RemoteDeletionGivenUp, OtherEnd::GivenUp);
    }

    /// Records in the receipt of a session the state of its key at the other end, and adds an event for the change.
    fn settle(&self, deletion: [u8; ID_LEN], kind: Kind, other_end: impl Fn(u32) -> OtherEnd) {
        let event = self.now(kind);
        let whose = self.find(|ended| {
            let receipt = ended.receipt.as_mut().filter(|receipt| receipt.deletion == Some(deletion))?;
            receipt.other_end = other_end(event.at);
            Some((ended.session, ended.domain.clone(), ended.page.clone()))
        });
        let (session, domain, page) = whose.unwrap_or_default();
        self.push(Event { session, domain, page, ..event });
    }

    /// A request was rejected at the gate, by this rule.
    pub fn request_refused(&self, rule: &'static str) {
        let number = self.next.load(Ordering::Relaxed);
        let event = Event { number, detail: Some(rule), ..self.now(Kind::RequestRefused) };
        let mut refused = lock(&self.refused);
        match refused.iter_mut().find(|refused| refused.detail == Some(rule)) {
            Some(before) => *before = Event { count: before.count + 1, ..event },
            None => refused.push(event),
        }
        drop(refused);
        self.changed(None);
    }

    /// The events that the viewer may see, newest first. A page sees those of its own sessions.
    pub fn seen_by(&self, viewer: &Viewer) -> Vec<Event> {
        let is_seen = |event: &Event| viewer.sees(event.page.as_ref());
        let kept = self.places.iter().filter_map(|place| lock(place).clone().filter(is_seen));
        let mut events: Vec<Event> = kept.collect();
        events.extend(lock(&self.refused).iter().filter(|event| is_seen(event)).cloned());
        events.sort_by_key(|event| std::cmp::Reverse((event.number, event.at)));
        events
    }

    /// A number that grows when the result of [`Activity::seen_by`] for this viewer changes.
    pub fn changes(&self, viewer: &Viewer) -> u64 {
        match viewer {
            Viewer::Program => self.changes.load(Ordering::Acquire),
            Viewer::Page(page) => page.events(),
            Viewer::NullOrigin => 0,
        }
    }

    fn now(&self, kind: Kind) -> Event {
        Event::now(kind, coarse_unix_seconds())
    }

    /// Puts an event in its place. An event that was delayed for a whole ring is dropped.
    fn push(&self, mut event: Event) -> Number {
        event.number = self.next.fetch_add(1, Ordering::Relaxed);
        let (number, page) = (event.number, event.page.clone());
        let mut place = self.place(number);
        let before = match &*place {
            Some(newer) if newer.number > number => None,
            _ => place.replace(event),
        };
        drop(place);
        // The old event may hold the last handle to something, which should not be dropped under the lock.
        drop(before);
        self.changed(page.as_ref());
        Number(number)
    }

    /// The first result of `look`, called on the events from the newest to the oldest.
    fn find<R>(&self, mut look: impl FnMut(&mut Event) -> Option<R>) -> Option<R> {
        let next = self.next.load(Ordering::Relaxed);
        let mut numbers = (next.saturating_sub(KEPT as u64)..next).rev();
        numbers.find_map(|number| self.place(number).as_mut().and_then(&mut look))
    }

    /// Whether no later event has taken the place of the one with this number.
    fn is_kept(&self, number: u64) -> bool {
        self.next.load(Ordering::Relaxed).saturating_sub(number) <= KEPT as u64
    }

    fn place(&self, number: u64) -> MutexGuard<'_, Option<Event>> {
        lock(&self.places[(number % KEPT as u64) as usize])
    }

    fn changed(&self, page: Option<&Page>) {
        self.changes.fetch_add(1, Ordering::Release);
        if let Some(page) = page {
            page.note_event();
        }
    }
}

/// A panic elsewhere cannot leave a place half changed, because every change is a single assignment. So poisoning is
/// ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
