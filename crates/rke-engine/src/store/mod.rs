//! The sessions: maps behind locks that are never held over an `.await`, the deadlines in order, and one
//! task that sleeps until the next of them. A session's key is wiped when its entry goes.
//!
//! Locks. Each shard's lock protects its rules, its sessions, their deadlines and its count of changes. `changing`
//! protects nothing but the order of two changes of the rules; it is taken before any shard's lock. Nobody holds two
//! shard locks, so operations on all shards see them one after the other. No key is read or wiped and no `on_expiry`
//! called under a lock: a use takes a handle to the key's slot, and an end takes the session out, before they unlock.
//! Counters are no lock: `total` is raised before a session is inserted and lowered after it is taken out, so it is
//! never less than what the shards hold, and no insertion goes beyond `max`.
//!
//! Waking the sweeper. It sets `sleeps_until` to `AWAKE`, locks the shards one after the other, sets
//! `sleeps_until` to the earliest deadline that it found, and sleeps. An insertion puts the session into its shard first
//! and reads `sleeps_until` second, and notifies where its deadline is earlier. Either the sweeper locks that shard
//! after the insertion and finds the deadline itself, or the insertion reads `AWAKE` or the new value. A notification
//! that comes before the sweeper sleeps is kept by [`Notify`], so none is missed. Uses and renewals never bring an end
//! forward, so they do not notify; other rules may, so `set_rules` always does.

mod entry;
#[cfg(feature = "controls")]
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

#[cfg(any(test, feature = "testing"))]
pub use self::model::samples;
pub use self::model::{Count, Full, KeyError, KeyUse, NewSession, Row, Rules};
use self::shard::{Shard, Taken};
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;
use crate::model::viewer::Viewer;

/// Into how many parts the sessions are split. Ids are random, so the parts are alike.
const SHARDS: usize = 256;

/// How many sessions are wiped at a time while others wait for nothing.
const BATCH: usize = 64;

/// What becomes of a session that has come to its end, and how long after that it was found. It wipes the key.
pub type OnExpiry = Box<dyn Fn(SessionId, NewSession, Duration) + Send + Sync>;

/// The store. Dropping it stops its task; the keys go with the last handle.
pub struct Store {
    shared: Arc<Shared>,
    sweeper: JoinHandle<()>,
}

struct Shared {
    /// Most sessions at one time. The other rules are with the parts.
    max: AtomicUsize,
    /// Held while the rules change, so that all parts have the same in the end.
    changing: Mutex<()>,
    shards: [Mutex<Shard>; SHARDS],
    /// Sessions in all of them.
    total: AtomicUsize,
    on_expiry: OnExpiry,
    /// Until when the sweeper sleeps, in nanoseconds on its clock.
    sleeps_until: AtomicU64,
    /// Wakes the sweeper when an earlier deadline than the one it sleeps for has appeared.
    earlier_deadline: Notify,
}

impl Store {
    /// An empty store, which hands over sessions that come to their end. Needs a tokio runtime.
    pub fn new(rules: Rules, on_expiry: OnExpiry) -> Self {
        let shared = Arc::new(Shared {
            max: AtomicUsize::new(rules.max),
            changing: Mutex::default(),
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(rules))),
            total: AtomicUsize::new(0),
            on_expiry,
            sleeps_until: AtomicU64::new(sweeper::AWAKE),
            earlier_deadline: Notify::new(),
        });
        let sweeper = tokio::spawn(sweeper::sweep(Arc::clone(&shared)));
        Self { shared, sweeper }
    }

    /// Goes on by other rules. How long a session lives changes for those that are opened or renewed
    /// later; all else holds for every session at once.
    pub fn set_rules(&self, rules: Rules) {
        let _changing = lock(&self.shared.changing);
        self.shared.max.store(rules.max, Ordering::SeqCst);
        self.shared.each(|shard| shard.set_rules(rules));
        self.shared.earlier_deadline.notify_one();
    }

    /// Whether a session could be opened now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn check_room(&self) -> Result<(), Full> {
        self.shared.check_room()
    }

    /// Opens a session. Never ends another one for it.
    ///
    /// # Errors
    /// [`Full`]; the key is wiped.
    pub fn insert(&self, id: SessionId, session: NewSession) -> Result<Row, Full> {
        let shared = &self.shared;
        shared.take_room()?;
        let (row, deadline) = shared.shard(id).insert(id, session);
        if deadline.nanos() < shared.sleeps_until.load(Ordering::SeqCst) {
            shared.earlier_deadline.notify_one();
        }
        Ok(row)
    }

    /// Ends a session: when this returns, the id is dead. Its key is wiped when what this gives is
    /// dropped, which waits for the uses that run. `None` where there is no such session, or it has
    /// expired by `now`.
    pub fn remove(&self, id: SessionId, now: Moment) -> Option<NewSession> {
        let taken = self.shared.shard(id).take(id)?;
        #[cfg(feature = "controls")]
        crate::store::fault_injection::session_removed(id);
        self.shared.taken(1);
        self.shared.if_live(id, taken, now)
    }

    /// Ends all sessions that `chosen` says yes to, as [`Store::remove`] ends one.
    pub fn remove_all(&self, chosen: impl Fn(&NewSession) -> bool) -> Vec<(SessionId, NewSession)> {
        let mut taken = Vec::new();
        self.shared.each(|shard| taken.extend(shard.take_all(|entry| chosen(&entry.session))));
        self.shared.taken(taken.len());
        let now = Moment::now();
        let live = |(id, taken)| Some((id, self.shared.if_live(id, taken, now)?));
        taken.into_iter().filter_map(live).collect()
    }

    /// Gives a session its whole time again, as far as the longest lifetime allows.
    pub fn renew(&self, id: SessionId) -> Option<Row> {
        let now = Moment::now();
        self.shared.shard(id).renew(id, now)
    }

    /// Uses a session's key, and counts that. The end of the session waits meanwhile, so `work` should
    /// not take long.
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

    /// The same for who knows what time it is, and how much of a scratch stack the work uses.
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
        let key = self.shared.shard(id).use_key(id, key_use, now, |keys| keys.cipher().handle())?;
        let used = key.expose_within(stack_use, |key| {
            let done = work(key);
            #[cfg(feature = "controls")]
            crate::store::fault_injection::key_in_use(key);
            done
        });
        used.ok_or(KeyError::NotFound)
    }

    /// The same with the key of `seal` and `open`.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn with_seal_key<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<R, KeyError> {
        let key = self.shared.shard(id).use_key(id, key_use, Moment::now(), SessionKey::for_sealing)?;
        key.expose(work).ok_or(KeyError::NotFound)
    }

    /// The same with K, from which the keys of a session of handshake 3 come. `None` where the session has a narrow key.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn with_root<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<Option<R>, KeyError> {
        let root = self.shared.shard(id).use_key(id, key_use, Moment::now(), SessionKey::root)?;
        root.map(|root| root.expose(work).ok_or(KeyError::NotFound)).transpose()
    }

    /// Notes that a session is in use, whose key is not needed for it.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn touch(&self, id: SessionId, key_use: KeyUse) -> Result<(), KeyError> {
        self.shared.shard(id).use_key(id, key_use, Moment::now(), |_| ())
    }

    /// What may be told of a session. `None` as in [`Store::remove`].
    pub fn row(&self, id: SessionId) -> Option<Row> {
        let now = Moment::now();
        self.shared.shard(id).live(id, now).map(|entry| entry.row(id))
    }

    /// The sessions that the viewer may see and that have not expired, oldest first, and how many there are: for a
    /// page, only those are counted.
    pub fn rows(&self, viewer: &Viewer) -> (Count, Vec<Row>) {
        let (now, mut stored, mut rows) = (Moment::now(), 0, Vec::new());
        self.shared.each(|shard| {
            stored += shard.len();
            let seen = shard.all_live(now).filter(|(_, entry)| viewer.sees(entry.session.page.as_ref()));
            rows.extend(seen.map(|(id, entry)| (entry.created, entry.row(id))));
        });
        rows.sort_by_key(|(created, _)| *created);
        let total = if *viewer == Viewer::Program { stored } else { rows.len() };
        (Count { total, active: rows.len() }, rows.into_iter().map(|(_, row)| row).collect())
    }

    /// A number that grows when something changes in what [`Store::rows`] gives this viewer: for a program the sum of
    /// one for each part.
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

    /// How many sessions there are.
    pub fn count(&self) -> Count {
        let (now, mut total, mut ended) = (Moment::now(), 0, 0);
        self.shared.each(|shard| {
            total += shard.len();
            ended += shard.count_ended(now);
        });
        Count { total, active: total - ended }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.sweeper.abort();
        drop(self.remove_all(|_| true));
    }
}

impl Shared {
    fn max(&self) -> usize {
        self.max.load(Ordering::SeqCst)
    }

    /// The part that a session of this id is in, locked.
    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(id.as_bytes()[0]) % SHARDS])
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
        // What has ended may not be swept yet.
        let now = Moment::now();
        let next = self.sweep(now);
        if has_room() {
            return Ok(());
        }
        Err(Full { max: self.max(), retry_after: next.map_or(Duration::ZERO, |next| next.since(now)) })
    }

    /// Counts a session that is about to be added.
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

    /// Wipes what has ended and gives the next deadline. Keys are wiped when no lock is held.
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

    /// What was taken, unless it had come to its end by `now`.
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

/// A panic elsewhere leaves a shard whole, for every change to it is one call: go on with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
