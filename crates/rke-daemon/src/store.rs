//! The sessions: a map behind one lock that is never held over an `.await`, the deadlines in order,
//! and one task that sleeps until the next of them. A session's key is wiped when its entry goes.

mod entry;
mod id;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rke_secret::Secret;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::entry::Entry;
pub use self::id::{SESSION_ID_LEN, SessionId};
use crate::Domain;
use crate::clock::{Alarm, Moment};
use crate::exchange::KeyOrigin;
use crate::journal::Journal;
use crate::usage::{Usage, UsageLimits, UsedUp};

/// What a session is opened with.
pub struct NewSession {
    /// The domain that was asked for.
    pub domain: Domain,
    /// Where the key comes from.
    pub origin: KeyOrigin,
    /// Whether the key came from the cache.
    pub from_cache: bool,
    /// The session's own copy of the key.
    pub key: Secret<32>,
    /// What the key has encrypted, in all sessions that hold it.
    pub usage: Arc<Usage>,
}

/// How long sessions live, how many there may be, and how much their keys may do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Most sessions at one time.
    pub max: usize,
    /// How long a session lives when it is opened or renewed.
    pub ttl: Duration,
    /// How long it can live by being renewed, from when it was opened.
    pub max_lifetime: Duration,
    /// How long it may be without use, where there is such a limit.
    pub idle: Option<Duration>,
    /// What a key may encrypt.
    pub usage: UsageLimits,
}

/// What may be told of a session.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id, in hex.
    pub session_id: String,
    /// The domain that was asked for.
    pub domain: Domain,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Encryptions so far.
    pub encrypt_count: u64,
    /// Decryptions so far.
    pub decrypt_count: u64,
    /// Whether its key came from the cache.
    pub from_cache: bool,
    /// Where its key comes from.
    pub origin: KeyOrigin,
}

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Encryption of a message of so many bytes.
    Encrypt(usize),
    /// Decryption.
    Decrypt,
    /// Encryption of so many bytes more of a message that was counted when it began.
    EncryptMore(usize),
    /// Decryption of more of a message.
    DecryptMore,
    /// Encryption of a packet to the Content Server, of so many bytes of data.
    Send(usize),
    /// Decryption of one from it.
    Receive,
}

impl KeyUse {
    /// The messages and bytes that it encrypts.
    fn encrypts(self) -> (u64, u64) {
        match self {
            Self::Encrypt(bytes) | Self::Send(bytes) => (1, bytes as u64),
            Self::EncryptMore(bytes) => (0, bytes as u64),
            Self::Decrypt | Self::DecryptMore | Self::Receive => (0, 0),
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no such session, or not any more.
    #[error("Session not found or expired")]
    NotFound,
    /// The key has encrypted as much as it may.
    #[error(transparent)]
    UsedUp(#[from] UsedUp),
}

/// There is no room for another session.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("Maximum of {max} sessions reached")]
pub struct Full {
    /// The limit.
    pub max: usize,
    /// When the next session expires.
    pub retry_after: Duration,
}

/// How many sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// In the store.
    pub total: usize,
    /// Of these, not expired.
    pub active: usize,
}

/// The store. Dropping it stops its task; the keys go with the last handle.
pub struct Store {
    shared: Arc<Shared>,
    sweeper: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the sweeper when an earlier deadline than the one it sleeps for has appeared.
    earlier_deadline: Notify,
}

struct State {
    rules: Rules,
    entries: HashMap<SessionId, Entry>,
    deadlines: BTreeSet<(Moment, SessionId)>,
    journal: Arc<Journal>,
    /// Counts what changes in the rows.
    changes: u64,
}

impl Store {
    /// An empty store, which tells the journal of sessions that come to their end. Needs a tokio runtime.
    pub fn new(rules: Rules, journal: Arc<Journal>) -> Self {
        let (entries, deadlines) = (HashMap::new(), BTreeSet::new());
        let state = State { rules, entries, deadlines, journal, changes: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), earlier_deadline: Notify::new() });
        let sweeper = tokio::spawn(sweep(Arc::clone(&shared)));
        Self { shared, sweeper }
    }

    /// Goes on by other rules. How long a session lives changes for those that are opened or renewed
    /// later; all else holds for every session at once.
    pub fn set_rules(&self, rules: Rules) {
        let mut state = self.shared.lock();
        state.rules = rules;
        state.changes += 1;
        let ids: Vec<SessionId> = state.entries.keys().copied().collect();
        ids.into_iter().for_each(|id| state.requeue(id));
        drop(state);
        self.shared.earlier_deadline.notify_one();
    }

    /// Whether a session could be opened now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn check_room(&self) -> Result<(), Full> {
        self.shared.lock().check_room()
    }

    /// Opens a session. Never ends another one for it.
    ///
    /// # Errors
    /// [`Full`]; the key is wiped.
    pub fn insert(&self, id: SessionId, session: NewSession) -> Result<Row, Full> {
        let entry = Entry::new(session, &self.shared.lock().rules);
        let row = entry.row(id);
        #[cfg(feature = "controls")]
        crate::controls::session_inserted(id, &entry.session.key);
        let mut state = self.shared.lock();
        state.check_room()?;
        let is_first = state.deadlines.first().is_none_or(|(first, _)| entry.queued < *first);
        state.deadlines.insert((entry.queued, id));
        state.entries.insert(id, entry);
        state.changes += 1;
        drop(state);
        if is_first {
            self.shared.earlier_deadline.notify_one();
        }
        Ok(row)
    }

    /// Ends a session: when this returns, the id is dead. Its key is wiped when what this gives is
    /// dropped, which waits for the uses that run. `None` where there is no such session, or it has
    /// expired.
    pub fn remove(&self, id: SessionId) -> Option<NewSession> {
        let mut state = self.shared.lock();
        let entry = state.take(id)?;
        #[cfg(feature = "controls")]
        crate::controls::session_removed(id);
        state.if_live(id, entry)
    }

    /// Ends all sessions that `chosen` says yes to, as [`Store::remove`] ends one.
    pub fn remove_all(&self, chosen: impl Fn(&Domain) -> bool) -> Vec<(SessionId, NewSession)> {
        let mut state = self.shared.lock();
        let ids: Vec<SessionId> = state
            .entries
            .iter()
            .filter(|(_, entry)| chosen(&entry.session.domain))
            .map(|(id, _)| *id)
            .collect();
        let live = ids.into_iter().filter_map(|id| {
            let entry = state.take(id)?;
            Some((id, state.if_live(id, entry)?))
        });
        live.collect()
    }

    /// Gives a session its whole time again, as far as the longest lifetime allows.
    pub fn renew(&self, id: SessionId) -> Option<Row> {
        let mut state = self.shared.lock();
        let (rules, now) = (state.rules, Moment::now());
        let entry = state.live(id, now)?;
        entry.renew(now, &rules);
        let row = entry.row(id);
        state.requeue(id);
        state.changes += 1;
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
        let key = {
            let mut state = self.shared.lock();
            let (limits, now) = (state.rules.usage, Moment::now());
            let entry = state.live(id, now).ok_or(KeyError::NotFound)?;
            entry.use_key(key_use, now, limits)?;
            let key = entry.session.key.handle();
            state.changes += 1;
            key
        };
        let used = key.expose(|key| {
            let done = work(key);
            #[cfg(feature = "controls")]
            crate::controls::key_in_use(key);
            done
        });
        used.ok_or(KeyError::NotFound)
    }

    /// What may be told of a session. `None` as in [`Store::remove`].
    pub fn row(&self, id: SessionId) -> Option<Row> {
        self.shared.lock().live(id, Moment::now()).map(|entry| entry.row(id))
    }

    /// All sessions that have not expired, oldest first, and how many there are.
    pub fn rows(&self) -> (Count, Vec<Row>) {
        let (state, now) = (self.shared.lock(), Moment::now());
        let live = state.entries.iter().filter(|(_, entry)| !entry.has_ended(now, &state.rules));
        let mut rows: Vec<(Moment, Row)> = live.map(|(id, entry)| (entry.created, entry.row(*id))).collect();
        let total = state.entries.len();
        drop(state);
        rows.sort_by_key(|(created, _)| *created);
        (Count { total, active: rows.len() }, rows.into_iter().map(|(_, row)| row).collect())
    }

    /// A number that grows when something changes in what [`Store::rows`] gives.
    pub fn changes(&self) -> u64 {
        self.shared.lock().changes
    }

    /// How many sessions there are.
    pub fn count(&self) -> Count {
        self.shared.lock().count(Moment::now())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.sweeper.abort();
        drop(self.remove_all(|_| true));
    }
}

impl Shared {
    /// A panic elsewhere leaves the map whole, for every change to it is one call: go on with it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&mut self, id: SessionId, now: Moment) -> Option<&mut Entry> {
        let rules = &self.rules;
        self.entries.get_mut(&id).filter(|entry| !entry.has_ended(now, rules))
    }

    fn take(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.deadlines.remove(&(entry.queued, id));
        self.changes += 1;
        Some(entry)
    }

    /// Puts a session where its end belongs in the order of deadlines.
    fn requeue(&mut self, id: SessionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.deadlines.remove(&(entry.queued, id));
        entry.queued = entry.end(&self.rules);
        self.deadlines.insert((entry.queued, id));
    }

    /// Wipes what has expired and gives the next deadline. A session that was used since it was put in
    /// order is put there again: uses themselves leave the order as it is, to stay quick.
    fn sweep(&mut self, now: Moment) -> Option<Moment> {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                return Some(deadline);
            }
            if self.entries.get(&id).is_some_and(|entry| !entry.has_ended(now, &self.rules)) {
                self.requeue(id);
            } else if let Some(entry) = self.take(id) {
                self.wipe_ended(id, entry);
            }
        }
        None
    }

    /// What was taken, unless it had come to its end before.
    fn if_live(&self, id: SessionId, entry: Entry) -> Option<NewSession> {
        if !entry.has_ended(Moment::now(), &self.rules) {
            return Some(entry.session);
        }
        self.wipe_ended(id, entry);
        None
    }

    fn wipe_ended(&self, id: SessionId, entry: Entry) {
        let end = entry.end(&self.rules);
        let NewSession { domain, key, .. } = entry.session;
        drop(key);
        self.journal.session_expired(id, domain, Moment::now().since(end));
    }

    fn check_room(&mut self) -> Result<(), Full> {
        let now = Moment::now();
        let next = self.sweep(now);
        let max = self.rules.max;
        if self.entries.len() < max {
            return Ok(());
        }
        Err(Full { max, retry_after: next.map_or(Duration::ZERO, |next| next.since(now)) })
    }

    fn count(&self, now: Moment) -> Count {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let ended =
            due.filter(|(_, id)| self.entries.get(id).is_some_and(|entry| entry.has_ended(now, &self.rules)));
        Count { total: self.entries.len(), active: self.entries.len() - ended.count() }
    }
}

async fn sweep(shared: Arc<Shared>) {
    let alarm = Alarm::new();
    loop {
        let now = Moment::now();
        let next = shared.lock().sweep(now);
        match next {
            Some(deadline) => tokio::select! {
                () = sleep_until(deadline, now, alarm.as_ref().ok()) => (),
                () = shared.earlier_deadline.notified() => (),
            },
            None => shared.earlier_deadline.notified().await,
        }
    }
}

/// Without an alarm, what fell due while the machine slept is swept later; it is refused all the same.
async fn sleep_until(deadline: Moment, now: Moment, alarm: Option<&Alarm>) {
    if let Some(alarm) = alarm {
        match alarm.wait_until(deadline).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot wait on the clock that counts sleep"),
        }
    }
    tokio::time::sleep(deadline.since(now)).await;
}

#[cfg(test)]
mod tests;
