//! The sessions: a map behind one lock that is never held over an `.await`, the deadlines in order,
//! and one task that sleeps until the next of them. A session's key is wiped when its entry goes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rke_secret::Secret;
use subtle::ConstantTimeEq;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Domain;
use crate::clock::{Moment, wall_clock};
use crate::exchange::KeyOrigin;

/// Length of a session id in bytes; on the outside it is twice as many hex digits.
pub const SESSION_ID_LEN: usize = 16;

/// The name of a session: 16 bytes from the system's generator. Whoever knows it can use the
/// session, so it is compared in constant time and not logged.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct SessionId([u8; SESSION_ID_LEN]);

impl SessionId {
    /// A new id.
    ///
    /// # Errors
    /// When the system's generator fails.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SESSION_ID_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id that 32 hex digits of either case spell.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; SESSION_ID_LEN];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

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
}

struct Entry {
    session: NewSession,
    created_at: Timestamp,
    expires_at: Timestamp,
    deadline: Moment,
    encrypt_count: u64,
    decrypt_count: u64,
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

/// What a key is used for; each use is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Encryption.
    Encrypt,
    /// Decryption.
    Decrypt,
    /// A packet to or from the Content Server, which is not counted.
    Tunnel,
    /// A chunk of a stream, which was counted when it began.
    Chunk,
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
    max: usize,
    ttl: Duration,
    state: Mutex<State>,
    /// Wakes the sweeper when an earlier deadline than the one it sleeps for has appeared.
    earlier_deadline: Notify,
}

#[derive(Default)]
struct State {
    entries: HashMap<SessionId, Entry>,
    deadlines: BTreeSet<(Moment, SessionId)>,
}

impl Store {
    /// An empty store for at most `max` sessions of `ttl` each. Needs a tokio runtime.
    pub fn new(max: usize, ttl: Duration) -> Self {
        let shared = Arc::new(Shared { max, ttl, state: Mutex::default(), earlier_deadline: Notify::new() });
        let sweeper = tokio::spawn(sweep(Arc::clone(&shared)));
        Self { shared, sweeper }
    }

    /// Whether a session could be opened now.
    ///
    /// # Errors
    /// [`Full`].
    pub fn check_room(&self) -> Result<(), Full> {
        self.shared.lock().check_room(self.shared.max)
    }

    /// Opens a session. Never ends another one for it.
    ///
    /// # Errors
    /// [`Full`]; the key is wiped.
    pub fn insert(&self, id: SessionId, session: NewSession) -> Result<Row, Full> {
        let created_at = wall_clock();
        let deadline = Moment::now().after(self.shared.ttl);
        let expires_at = created_at.saturating_add(self.shared.ttl).unwrap_or(Timestamp::MAX);
        let entry = Entry { session, created_at, expires_at, deadline, encrypt_count: 0, decrypt_count: 0 };
        let row = entry.row(id);
        #[cfg(feature = "controls")]
        crate::controls::session_inserted(id, &entry.session.key);
        let mut state = self.shared.lock();
        state.check_room(self.shared.max)?;
        let is_first = state.deadlines.first().is_none_or(|(first, _)| deadline < *first);
        state.deadlines.insert((deadline, id));
        state.entries.insert(id, entry);
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
        let entry = self.shared.lock().take(id)?;
        #[cfg(feature = "controls")]
        crate::controls::session_removed(id);
        (!entry.is_expired(Moment::now())).then_some(entry.session)
    }

    /// Ends all sessions; their keys are wiped when this returns.
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        state.deadlines.clear();
        state.entries.clear();
    }

    /// Uses a session's key and counts it where it is one of the API. `None` where there is no such session, or it has
    /// expired. The end of the session waits meanwhile, so `work` should not take long.
    pub fn with_key<R>(
        &self,
        id: SessionId,
        key_use: KeyUse,
        work: impl FnOnce(&[u8; 32]) -> R,
    ) -> Option<R> {
        let key = {
            let mut state = self.shared.lock();
            let entry = state.live(id)?;
            match key_use {
                KeyUse::Encrypt => entry.encrypt_count += 1,
                KeyUse::Decrypt => entry.decrypt_count += 1,
                KeyUse::Tunnel | KeyUse::Chunk => (),
            }
            entry.session.key.handle()
        };
        key.expose(|key| {
            let done = work(key);
            #[cfg(feature = "controls")]
            crate::controls::key_in_use(key);
            done
        })
    }

    /// What may be told of a session. `None` as in [`Store::remove`].
    pub fn row(&self, id: SessionId) -> Option<Row> {
        self.shared.lock().live(id).map(|entry| entry.row(id))
    }

    /// All sessions that have not expired, oldest first, and how many there are.
    pub fn rows(&self) -> (Count, Vec<Row>) {
        let state = self.shared.lock();
        let now = Moment::now();
        let live = state.deadlines.iter().filter(|(deadline, _)| *deadline > now);
        let rows = live.filter_map(|(_, id)| Some(state.entries.get(id)?.row(*id)));
        (state.count(now), rows.collect())
    }

    /// How many sessions there are.
    pub fn count(&self) -> Count {
        self.shared.lock().count(Moment::now())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.sweeper.abort();
        self.clear();
    }
}

impl Shared {
    /// A panic elsewhere leaves the map whole, for every change to it is one call: go on with it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.entries.get_mut(&id).filter(|entry| !entry.is_expired(Moment::now()))
    }

    fn take(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.deadlines.remove(&(entry.deadline, id));
        Some(entry)
    }

    /// Wipes what has expired and gives the next deadline.
    fn sweep(&mut self, now: Moment) -> Option<Moment> {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                return Some(deadline);
            }
            drop(self.take(id));
        }
        None
    }

    fn check_room(&mut self, max: usize) -> Result<(), Full> {
        let now = Moment::now();
        let next = self.sweep(now);
        if self.entries.len() < max {
            return Ok(());
        }
        Err(Full { max, retry_after: next.map_or(Duration::ZERO, |next| next.since(now)) })
    }

    fn count(&self, now: Moment) -> Count {
        let expired = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).count();
        Count { total: self.entries.len(), active: self.entries.len() - expired }
    }
}

impl Entry {
    fn is_expired(&self, now: Moment) -> bool {
        self.deadline <= now
    }

    fn row(&self, id: SessionId) -> Row {
        Row {
            session_id: id.to_string(),
            domain: self.session.domain.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            encrypt_count: self.encrypt_count,
            decrypt_count: self.decrypt_count,
            from_cache: self.session.from_cache,
            origin: self.session.origin.clone(),
        }
    }
}

async fn sweep(shared: Arc<Shared>) {
    loop {
        let now = Moment::now();
        let next = shared.lock().sweep(now);
        match next {
            Some(deadline) => tokio::select! {
                () = tokio::time::sleep(deadline.since(now)) => (),
                () = shared.earlier_deadline.notified() => (),
            },
            None => shared.earlier_deadline.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use rke_proto::ContentServerId;
    use rke_proto::derive::ShareWidth;

    use super::*;

    fn session(byte: u8) -> NewSession {
        NewSession {
            domain: Domain::new("content.rke.test").expect("a domain"),
            origin: KeyOrigin {
                cs_id: ContentServerId::new("CS").expect("a CSID"),
                width: ShareWidth::Wide,
                envelopes: vec![5],
                raidas: (0..25).collect(),
                liars: Vec::new(),
                tunnel: None,
            },
            from_cache: false,
            key: Secret::fill(|key| *key = [byte; 32]).expect("a secret"),
        }
    }

    fn id(byte: u8) -> SessionId {
        SessionId([byte; 16])
    }

    #[test]
    fn ids_are_hex_of_either_case_and_exactly_32_digits() {
        let text = "a1b2c3d4e5f67890a1b2c3d4e5f67890";
        assert_eq!(SessionId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        assert!(SessionId::parse(&text.to_uppercase()) == SessionId::parse(text));
        for bad in ["", "nonexistent00000000000000000000", &text[1..], &text.replace('a', "g")] {
            assert!(SessionId::parse(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn each_session_has_its_own_key_and_counts() {
        let store = Store::new(16, Duration::from_secs(60));
        store.insert(id(1), session(1)).expect("room");
        store.insert(id(2), session(2)).expect("room");
        assert_eq!(store.with_key(id(2), KeyUse::Encrypt, |key| *key == [2; 32]), Some(true));
        assert_eq!(store.with_key(id(1), KeyUse::Decrypt, |key| *key == [1; 32]), Some(true));
        let row = store.row(id(2)).expect("a row");
        assert_eq!((row.encrypt_count, row.decrypt_count), (1, 0));
        assert_eq!(store.count(), Count { total: 2, active: 2 });
    }

    #[tokio::test]
    async fn a_removed_session_is_gone_and_removing_it_again_finds_nothing() {
        let store = Store::new(16, Duration::from_secs(60));
        store.insert(id(1), session(1)).expect("room");
        assert!(store.remove(id(1)).is_some());
        assert!(store.remove(id(1)).is_none());
        assert!(store.with_key(id(1), KeyUse::Encrypt, |_| ()).is_none() && store.row(id(1)).is_none());
        assert_eq!(store.rows().1.len(), 0);
    }

    #[tokio::test]
    async fn a_full_store_says_when_there_will_be_room_and_ends_nothing() {
        let store = Store::new(2, Duration::from_secs(60));
        store.insert(id(1), session(1)).expect("room");
        store.insert(id(2), session(2)).expect("room");
        let full = store.insert(id(3), session(3)).expect_err("no room");
        assert!(full.retry_after <= Duration::from_secs(60) && full.retry_after > Duration::from_secs(58));
        assert_eq!(full.to_string(), "Maximum of 2 sessions reached");
        assert_eq!(store.count().active, 2);
        drop(store.remove(id(1)).expect("a session"));
        store.insert(id(3), session(3)).expect("room again");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn expires_at_the_deadline_and_sweeps_without_being_asked() {
        let store = Store::new(16, Duration::from_millis(40));
        store.insert(id(1), session(1)).expect("room");
        assert!(store.row(id(1)).is_some());
        // Sleeping at least until the deadline: the session must be dead, and soon swept.
        tokio::time::sleep(Duration::from_millis(45)).await;
        assert!(store.row(id(1)).is_none() && store.remove(id(1)).is_none());
        for _ in 0..500 {
            if store.count().total == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the expired session was never swept");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_two_that_remove_the_same_session_one_succeeds() {
        let store = Arc::new(Store::new(16, Duration::from_secs(60)));
        for round in 0..200 {
            store.insert(id(round), session(round)).expect("room");
            let removals: Vec<_> = (0..2)
                .map(|_| {
                    let store = Arc::clone(&store);
                    tokio::spawn(async move { store.remove(id(round)) })
                })
                .collect();
            let mut done = 0;
            for removal in removals {
                done += usize::from(removal.await.expect("no panic").is_some());
            }
            assert_eq!(done, 1);
        }
    }
}
