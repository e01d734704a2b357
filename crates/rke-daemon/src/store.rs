//! The sessions: maps behind locks that are never held over an `.await`, the deadlines in order, and one
//! task that sleeps until the next of them. A session's key is wiped when its entry goes.

mod entry;
mod id;
mod model;
mod shard;
mod sweeper;
mod table;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rke_secret::StackUse;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::entry::Entry;
pub use self::id::{SESSION_ID_LEN, SessionId};
pub use self::model::{Count, Full, KeyError, KeyUse, NewSession, Row, Rules};
use self::shard::Shard;
use crate::Domain;
use crate::clock::Moment;
use crate::journal::Journal;

/// Into how many parts the sessions are split. Ids are random, so the parts are alike.
const SHARDS: usize = 256;

/// So many sessions are in the processor's caches anyway.
const FEW: usize = 4096;

/// How many sessions are wiped at a time while others wait for nothing.
const BATCH: usize = 64;

/// The store. Dropping it stops its task; the keys go with the last handle.
pub struct Store {
    shared: Arc<Shared>,
    sweeper: JoinHandle<()>,
}

struct Shared {
    rules: ArcSwap<Rules>,
    shards: [Mutex<Shard>; SHARDS],
    /// Sessions in all of them.
    total: AtomicUsize,
    journal: Arc<Journal>,
    /// Counts what changes in the rows.
    changes: AtomicU64,
    /// Until when the sweeper sleeps, in nanoseconds on its clock.
    sleeps_until: AtomicU64,
    /// Wakes the sweeper when an earlier deadline than the one it sleeps for has appeared.
    earlier_deadline: Notify,
}

impl Store {
    /// An empty store, which tells the journal of sessions that come to their end. Needs a tokio runtime.
    pub fn new(rules: Rules, journal: Arc<Journal>) -> Self {
        let shared = Arc::new(Shared {
            rules: ArcSwap::from_pointee(rules),
            shards: std::array::from_fn(|_| Mutex::default()),
            total: AtomicUsize::new(0),
            journal,
            changes: AtomicU64::new(0),
            sleeps_until: AtomicU64::new(sweeper::AWAKE),
            earlier_deadline: Notify::new(),
        });
        let sweeper = tokio::spawn(sweeper::sweep(Arc::clone(&shared)));
        Self { shared, sweeper }
    }

    /// Goes on by other rules. How long a session lives changes for those that are opened or renewed
    /// later; all else holds for every session at once.
    pub fn set_rules(&self, rules: Rules) {
        self.shared.rules.store(Arc::new(rules));
        self.shared.changed();
        self.shared.each(|shard| shard.requeue_all(&rules));
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
        let entry = Entry::new(session, &shared.rules());
        let (row, deadline) = (entry.row(id), entry.queued);
        shared.take_room()?;
        #[cfg(feature = "controls")]
        crate::controls::session_inserted(id, &entry.session.key);
        shared.shard(id).insert(id, entry);
        shared.changed();
        if deadline.nanos() < shared.sleeps_until.load(Ordering::SeqCst) {
            shared.earlier_deadline.notify_one();
        }
        Ok(row)
    }

    /// Has the processor fetch a session that is wanted soon, where there are so many that it is in no cache.
    pub fn fetch(&self, wanted: impl FnOnce() -> Option<SessionId>) {
        if self.shared.total.load(Ordering::Relaxed) <= FEW {
            return;
        }
        // Nobody waits for this.
        if let Some(id) = wanted()
            && let Ok(shard) = self.shared.shard_of(id).try_lock()
        {
            shard.fetch(id);
        }
    }

    /// Ends a session: when this returns, the id is dead. Its key is wiped when what this gives is
    /// dropped, which waits for the uses that run. `None` where there is no such session, or it has
    /// expired.
    pub fn remove(&self, id: SessionId) -> Option<NewSession> {
        let entry = self.shared.shard(id).take(id)?;
        #[cfg(feature = "controls")]
        crate::controls::session_removed(id);
        self.shared.taken(1);
        self.shared.if_live(id, entry)
    }

    /// Ends all sessions that `chosen` says yes to, as [`Store::remove`] ends one.
    pub fn remove_all(&self, chosen: impl Fn(&Domain) -> bool) -> Vec<(SessionId, NewSession)> {
        let mut taken = Vec::new();
        self.shared.each(|shard| taken.extend(shard.take_all(|entry| chosen(&entry.session.domain))));
        self.shared.taken(taken.len());
        let live = |(id, entry)| Some((id, self.shared.if_live(id, entry)?));
        taken.into_iter().filter_map(live).collect()
    }

    /// Gives a session its whole time again, as far as the longest lifetime allows.
    pub fn renew(&self, id: SessionId) -> Option<Row> {
        let (rules, now) = (self.shared.rules(), Moment::now());
        let mut shard = self.shared.shard(id);
        let entry = shard.live(id, now, &rules)?;
        entry.renew(now, &rules);
        let row = entry.row(id);
        shard.requeue(id, &rules);
        self.shared.changed();
        Some(row)
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
        self.with_key_within(id, key_use, StackUse::UNKNOWN, work)
    }

    /// The same for work of which is known how much of a scratch stack it uses.
    ///
    /// # Errors
    /// As [`Store::with_key`].
    pub fn with_key_within<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        stack_use: StackUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Result<R, KeyError> {
        let key = {
            let (rules, now) = (self.shared.rules(), Moment::now());
            let mut shard = self.shared.shard(id);
            let entry = shard.live(id, now, &rules).ok_or(KeyError::NotFound)?;
            entry.use_key(key_use, now, rules.usage)?;
            entry.session.key.handle()
        };
        self.shared.changed();
        let used = key.expose_within(stack_use, |key| {
            let done = work(key);
            #[cfg(feature = "controls")]
            crate::controls::key_in_use(key);
            done
        });
        used.ok_or(KeyError::NotFound)
    }

    /// What may be told of a session. `None` as in [`Store::remove`].
    pub fn row(&self, id: SessionId) -> Option<Row> {
        let rules = self.shared.rules();
        self.shared.shard(id).live(id, Moment::now(), &rules).map(|entry| entry.row(id))
    }

    /// All sessions that have not expired, oldest first, and how many there are.
    pub fn rows(&self) -> (Count, Vec<Row>) {
        let (rules, now) = (self.shared.rules(), Moment::now());
        let (mut total, mut rows) = (0, Vec::new());
        self.shared.each(|shard| {
            total += shard.len();
            let live = shard.entries().filter(|(_, entry)| !entry.has_ended(now, &rules));
            rows.extend(live.map(|(id, entry)| (entry.created, entry.row(id))));
        });
        rows.sort_by_key(|(created, _)| *created);
        (Count { total, active: rows.len() }, rows.into_iter().map(|(_, row)| row).collect())
    }

    /// A number that grows when something changes in what [`Store::rows`] gives.
    pub fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Relaxed)
    }

    /// How many sessions there are.
    pub fn count(&self) -> Count {
        let (rules, now) = (self.shared.rules(), Moment::now());
        let (mut total, mut ended) = (0, 0);
        self.shared.each(|shard| {
            total += shard.len();
            ended += shard.count_ended(now, &rules);
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
    fn rules(&self) -> Rules {
        **self.rules.load()
    }

    /// The part that a session of this id is in.
    fn shard_of(&self, id: SessionId) -> &Mutex<Shard> {
        &self.shards[usize::from(id.as_bytes()[0]) % SHARDS]
    }

    /// The same, locked.
    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        lock(self.shard_of(id))
    }

    fn each(&self, mut work: impl FnMut(&mut Shard)) {
        self.shards.iter().for_each(|shard| work(&mut lock(shard)));
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn taken(&self, count: usize) {
        self.total.fetch_sub(count, Ordering::SeqCst);
        self.changed();
    }

    fn check_room(&self) -> Result<(), Full> {
        let has_room = || self.total.load(Ordering::SeqCst) < self.rules().max;
        if has_room() {
            return Ok(());
        }
        // What has ended may not be swept yet.
        let now = Moment::now();
        let next = self.sweep(now);
        if has_room() {
            return Ok(());
        }
        Err(Full { max: self.rules().max, retry_after: next.map_or(Duration::ZERO, |next| next.since(now)) })
    }

    /// Counts a session that is about to be added.
    fn take_room(&self) -> Result<(), Full> {
        loop {
            self.check_room()?;
            let max = self.rules().max;
            let one_more = |total: usize| (total < max).then_some(total + 1);
            if self.total.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok() {
                return Ok(());
            }
        }
    }

    /// Wipes what has ended and gives the next deadline. Keys are wiped when no lock is held.
    fn sweep(&self, now: Moment) -> Option<Moment> {
        let rules = self.rules();
        let sweep = |shard: &Mutex<Shard>| loop {
            let mut ended = Vec::new();
            let next = lock(shard).take_ended(now, &rules, BATCH, &mut ended);
            if ended.is_empty() {
                return next;
            }
            self.taken(ended.len());
            ended.into_iter().for_each(|(id, entry)| self.wipe_ended(id, entry));
        };
        self.shards.iter().filter_map(sweep).min()
    }

    /// What was taken, unless it had come to its end before.
    fn if_live(&self, id: SessionId, entry: Entry) -> Option<NewSession> {
        if !entry.has_ended(Moment::now(), &self.rules()) {
            return Some(entry.session);
        }
        self.wipe_ended(id, entry);
        None
    }

    fn wipe_ended(&self, id: SessionId, entry: Entry) {
        let end = entry.end(&self.rules());
        let NewSession { domain, key, .. } = entry.session;
        drop(key);
        self.journal.session_expired(id, domain, Moment::now().since(end));
    }
}

/// A panic elsewhere leaves a shard whole, for every change to it is one call: go on with it.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
