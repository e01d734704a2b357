//! The sessions: maps behind locks that are never held across an `.await`, the deadlines in order, and one task that
//! sleeps until the next deadline. A session's key is wiped when its entry is dropped.
//!
//! Locks. Each shard's lock protects its rules, its sessions, their deadlines and its change counter. `changing` only
//! serializes changes of the rules; it is taken before any shard's lock. No thread holds two shard locks at once, so
//! operations on all shards lock them one after the other. While a lock is held, no key is read or wiped, and neither
//! `on_expiry` nor `on_used_up` is called: before unlocking, a use only takes a handle to the key's slot, and a
//! removal only takes the session out. The counters are not locks: `total` is raised before a session is inserted and
//! lowered after it is taken out, so it is never less than the number of sessions in the shards, and no insertion
//! exceeds `max`.
//!
//! Waking the sweeper. The sweeper sets `sleeps_until` to `AWAKE`, locks the shards one after the other, sets
//! `sleeps_until` to the earliest deadline that it found, and sleeps. An insertion first puts the session into its
//! shard, then reads `sleeps_until`, and notifies the sweeper if the new deadline is earlier. Either the sweeper
//! locks that shard after the insertion and finds the deadline itself, or the insertion reads `AWAKE` or the new
//! value. [`Notify`] stores a notification that arrives before the sweeper sleeps, so none is missed. Uses and
//! renewals never move a session's end forward, so they do not notify; new rules can, so `set_rules` always notifies.

mod copies;
mod entry;
#[cfg(feature = "fault-injection")]
mod fault_injection;
mod model;
mod shard;
mod sweeper;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rke_secret::StackUse;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) use self::copies::Copies;
#[cfg(any(test, feature = "testing"))]
pub use self::model::samples;
pub(crate) use self::model::{CopyTerms, Standing};
pub use self::model::{Count, Full, KeyError, KeyUse, NewSession, SessionInfo, SessionLimits};
use self::shard::{Shard, Taken};
use crate::Domain;
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;
use crate::model::viewer::{Page, Viewer};

/// The number of shards. Ids are random, so the shards fill evenly.
const SHARDS: usize = 256;

/// The most sessions that are taken out of a shard under one lock. Other threads can lock the shard between batches.
const BATCH: usize = 64;

/// Called with an expired session and how long after its expiry it was found. It wipes the key.
pub type OnExpiry = Box<dyn Fn(SessionId, NewSession, Duration) + Send + Sync>;

/// Called for each use that was rejected because the session's key is used up.
pub type OnUsedUp = Box<dyn Fn(SessionId, Domain, Option<Page>) + Send + Sync>;

/// The store. Dropping it stops the sweeper; each key is wiped when the last handle to it is dropped.
pub struct Store {
    shared: Arc<StoreInner>,
    sweeper: JoinHandle<()>,
}

struct StoreInner {
    /// The most sessions at one time. The other rules are stored in the shards.
    max: AtomicUsize,
    /// Held while the rules change, so that two changes cannot leave different rules in different shards.
    changing: Mutex<()>,
    shards: [Mutex<Shard>; SHARDS],
    /// The number of sessions in all shards.
    total: AtomicUsize,
    on_expiry: OnExpiry,
    on_used_up: OnUsedUp,
    /// Whether the sessions are copies of those that other machines share.
    has_copies: bool,
    /// When the sweeper wakes, in nanoseconds on its clock.
    sleeps_until: AtomicU64,
    /// Wakes the sweeper when a deadline appears that is earlier than the one it sleeps for.
    earlier_deadline: Notify,
}

impl Store {
    /// An empty store that hands expired sessions to `on_expiry`. Needs a tokio runtime.
    pub fn new(rules: SessionLimits, on_expiry: OnExpiry) -> Self {
        Self::telling(rules, on_expiry, Box::new(|_, _, _| ()))
    }

    /// Like [`Store::new`], and also reports sessions whose keys are used up.
    pub fn telling(rules: SessionLimits, on_expiry: OnExpiry, on_used_up: OnUsedUp) -> Self {
        Self::with(rules, on_expiry, on_used_up, false)
    }

    fn with(rules: SessionLimits, on_expiry: OnExpiry, on_used_up: OnUsedUp, has_copies: bool) -> Self {
        let shared = Arc::new(StoreInner {
            max: AtomicUsize::new(rules.max),
            changing: Mutex::default(),
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(rules))),
            total: AtomicUsize::new(0),
            on_expiry,
            on_used_up,
            has_copies,
            sleeps_until: AtomicU64::new(sweeper::AWAKE),
            earlier_deadline: Notify::new(),
        });
        let sweeper = tokio::spawn(sweeper::sweep(Arc::clone(&shared)));
        Self { shared, sweeper }
    }

    /// Applies other rules. A new session lifetime affects only sessions that are opened or renewed later; everything
    /// else applies to all sessions at once, but a session that has ended by the old rules stays ended.
    pub fn set_rules(&self, rules: SessionLimits) {
        let _changing = lock(&self.shared.changing);
        self.shared.max.store(rules.max, Ordering::SeqCst);
        self.shared.each(|shard| shard.set_rules(rules, Moment::now()));
        self.shared.earlier_deadline.notify_one();
    }

    /// Whether a session could be opened now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn check_room(&self) -> Result<(), Full> {
        self.shared.check_room()
    }

    /// Opens a session. It never ends another session to make room.
    ///
    /// # Errors
    /// [`Full`]; the key is wiped.
    pub fn insert(&self, id: SessionId, session: NewSession) -> Result<SessionInfo, Full> {
        let shared = &self.shared;
        shared.take_room()?;
        let now = Moment::now();
        let (row, deadline) = shared.shard(id).insert(id, session, now);
        if deadline.nanos() < shared.sleeps_until.load(Ordering::SeqCst) {
            shared.earlier_deadline.notify_one();
        }
        Ok(row)
    }

    /// Ends a session: when this returns, the id is dead. The key is wiped when the returned session is dropped,
    /// which waits for the key's running uses. `None` if no such session exists or it has expired by `now`.
    pub fn remove(&self, id: SessionId, now: Moment) -> Option<NewSession> {
        let taken = self.shared.shard(id).take(id)?;
        #[cfg(feature = "fault-injection")]
        crate::store::fault_injection::session_removed(id);
        self.shared.taken(1);
        self.shared.if_live(id, taken, now)
    }

    /// Ends all sessions that `chosen` selects, as [`Store::remove`] ends one.
    pub fn remove_all(&self, chosen: impl Fn(&NewSession) -> bool) -> Vec<(SessionId, NewSession)> {
        let mut taken = Vec::new();
        self.shared.each(|shard| taken.extend(shard.take_all(|entry| chosen(&entry.session))));
        self.shared.taken(taken.len());
        let now = Moment::now();
        let live = |(id, taken)| Some((id, self.shared.if_live(id, taken, now)?));
        taken.into_iter().filter_map(live).collect()
    }

    /// Gives a session its full lifetime again, up to the maximum lifetime.
    pub fn renew(&self, id: SessionId) -> Option<SessionInfo> {
        let now = Moment::now();
        self.shared.shard(id).renew(id, now)
    }

    /// Uses a session's key and counts the use. The session cannot end until `work` returns, so `work` should be
    /// short.
    ///
    /// # Errors
    /// [`KeyError`]; then the key was not used.
    pub fn with_key<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<R, KeyError> {
        self.with_key_within(id, key_use, Moment::now(), StackUse::UNKNOWN, work)
    }

    /// Like [`Store::with_key`], for callers that know the current time and how much of a scratch stack the work
    /// uses.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn with_key_within<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        now: Moment,
        stack_use: StackUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<R, KeyError> {
        let key = self.shared.use_key(id, key_use, now, |keys| keys.cipher().handle())?;
        let used = key.expose_with_stack(stack_use, |key| {
            let done = work(key);
            #[cfg(feature = "fault-injection")]
            crate::store::fault_injection::key_in_use(key);
            done
        });
        self.shared.finished(id, used)
    }

    /// Like [`Store::with_key`], with the key of `seal` and `open`.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn with_seal_key<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<R, KeyError> {
        let key = self.shared.use_key(id, key_use, Moment::now(), SessionKey::for_sealing)?;
        self.shared.finished(id, key.expose(work))
    }

    /// Like [`Store::with_key`], with K, from which all keys of a handshake-3 session are derived. `None` if the
    /// session has a narrow key.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn with_root<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<Option<R>, KeyError> {
        let root = self.shared.use_key(id, key_use, Moment::now(), SessionKey::root)?;
        root.map(|root| self.shared.finished(id, root.expose(work))).transpose()
    }

    /// Notes that a session is in use without using its key.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn touch(&self, id: SessionId, key_use: KeyUse) -> Result<(), KeyError> {
        self.shared.use_key(id, key_use, Moment::now(), |_| ())
    }

    /// What may be shown about a session. `None` as in [`Store::remove`].
    pub fn row(&self, id: SessionId) -> Option<SessionInfo> {
        let now = Moment::now();
        self.shared.shard(id).live(id, now).map(|entry| entry.row())
    }

    /// The page that opened a session. `None` if no page did, or as in [`Store::remove`].
    pub fn page(&self, id: SessionId) -> Option<Page> {
        let now = Moment::now();
        self.shared.shard(id).live(id, now)?.session.page.clone()
    }

    /// The unexpired sessions that the viewer may see, oldest first, and how many sessions exist. For a page, the
    /// count includes only the sessions that it may see.
    pub fn rows(&self, viewer: &Viewer) -> (Count, Vec<SessionInfo>) {
        let (now, mut stored, mut rows) = (Moment::now(), 0, Vec::new());
        self.shared.each(|shard| {
            stored += shard.len();
            let seen = shard.all_live(now).filter(|entry| viewer.sees(entry.session.page.as_ref()));
            rows.extend(seen.map(|entry| (entry.created, entry.row())));
        });
        rows.sort_by_key(|(created, _)| *created);
        let total = if *viewer == Viewer::Program { stored } else { rows.len() };
        (Count { total, active: rows.len(), held: None }, rows.into_iter().map(|(_, row)| row).collect())
    }

    /// A number that grows whenever the result of [`Store::rows`] for this viewer changes. For a program it is the
    /// sum of the shards' change counters.
    pub fn changes(&self, viewer: &Viewer) -> u64 {
        match viewer {
            Viewer::Program => self.all_changes(),
            Viewer::Page(page) => page.changes(),
            Viewer::NullOrigin => 0,
        }
    }

    fn all_changes(&self) -> u64 {
        let mut changes = 0;
        self.shared.each(|shard| changes += shard.changes);
        changes
    }

    /// How many sessions exist.
    pub fn count(&self) -> Count {
        let (now, mut total, mut ended) = (Moment::now(), 0, 0);
        self.shared.each(|shard| {
            total += shard.len();
            ended += shard.count_ended(now);
        });
        Count { total, active: total - ended, held: None }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.sweeper.abort();
        drop(self.remove_all(|_| true));
    }
}

impl StoreInner {
    fn max(&self) -> usize {
        self.max.load(Ordering::SeqCst)
    }

    /// The shard of this id, locked.
    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(id.as_bytes()[0]) % SHARDS])
    }

    /// Notes a use of a session's key, and returns what `of` takes from its keys, such as a handle.
    fn use_key<H>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        now: Moment,
        of: impl FnOnce(&SessionKey) -> H,
    ) -> Result<H, KeyError> {
        let used = self.shard(id).use_key(id, key_use, now, of);
        if let Err(error) = used {
            return Err(self.not_used(id, now, error));
        }
        used
    }

    fn tell_used_up(&self, id: SessionId, now: Moment) {
        let whose =
            |entry: &mut entry::Entry| (entry.session.origin.domain.clone(), entry.session.page.clone());
        let whose = self.shard(id).live(id, now).map(whose);
        if let Some((domain, page)) = whose {
            (self.on_used_up)(id, domain, page);
        }
    }

    fn each(&self, mut work: impl FnMut(&mut Shard)) {
        self.shards.iter().for_each(|shard| work(&mut lock(shard)));
    }

    fn taken(&self, count: usize) {
        self.total.fetch_sub(count, Ordering::SeqCst);
    }

    fn check_room(&self) -> Result<(), Full> {
        let has_room = || self.total.load(Ordering::SeqCst) < self.max();
        if has_room() {
            return Ok(());
        }
        // Expired sessions may still wait to be swept.
        let now = Moment::now();
        let next = self.sweep(now);
        if has_room() {
            return Ok(());
        }
        Err(Full { max: self.max(), retry_after: next.map_or(Duration::ZERO, |next| next.since(now)) })
    }

    /// Counts a session that is about to be inserted.
    fn take_room(&self) -> Result<(), Full> {
        loop {
            self.check_room()?;
            let max = self.max();
            let one_more = |total: usize| (total < max).then_some(total + 1);
            if self.total.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok() {
                return Ok(());
            }
        }
    }

    /// Wipes the expired sessions and returns the next deadline. No lock is held while keys are wiped.
    fn sweep(&self, now: Moment) -> Option<Moment> {
        let sweep = |shard: &Mutex<Shard>| loop {
            let mut ended = Vec::new();
            let next = lock(shard).take_ended(now, BATCH, &mut ended);
            if ended.is_empty() {
                return next;
            }
            self.taken(ended.len());
            ended.into_iter().for_each(|(id, taken)| self.wipe_ended(id, taken));
        };
        self.shards.iter().filter_map(sweep).min()
    }

    /// The taken session, unless it had expired by `now`.
    fn if_live(&self, id: SessionId, taken: Taken, now: Moment) -> Option<NewSession> {
        if taken.end > now {
            return Some(taken.session);
        }
        self.wipe_ended(id, taken);
        None
    }

    fn wipe_ended(&self, id: SessionId, Taken { session, end }: Taken) {
        (self.on_expiry)(id, session, Moment::now().since(end));
    }
}

/// A panic elsewhere cannot leave a shard half changed, because every change is a single call. So poisoning is
/// ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
