//! What the instances of a Content Server share: the keys of sessions, their resumption secrets, how many of them each coin has, and the
//! first packets that must not be accepted again. `docs/scaling.md`.
//!
//! The reception has copies, each for as long as the store's hold allows. What a first packet refers to is fetched before the reception
//! gets the packet, and nothing is answered that the store has not confirmed.

mod copies;
mod key_sets;
mod shelf;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rke_host::audit::AuditTags;
use rke_host::session_keys::HeldSession;
use rke_host::usage::{KeyError, KeyUse};
use rke_proto::DecodeError;
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{FirstPacket, ForgetProof, KeyId, Prologue, Reason, Response};
use rke_shared_store::key_file::KeyFileError;
use rke_shared_store::{
    Id, MARGIN, Need, NewEntry, NotRemembered, OpenStoreError, ReplayLimits, Row, Sharing, StoreError, Turn,
    Warning,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::sleep;

pub(super) use self::copies::SharedReception;
use self::copies::{Copies, Standing, need_of};
use self::key_sets::KeySets;
use self::shelf::Shelf;
use super::ServedKeySet;
use super::reception::{
    About, Closing, Ending, Fresh, NewSession, Outcome, Pending, SecretKind, pack_proof, unpack_proof,
};
use crate::clock::unix_seconds;
use crate::replay::SHARES;

/// For each key that fits in the store, this many proofs are kept, so that a repeated `forget` still returns its proof.
const PROOFS_FOR_EACH: u64 = 4;

/// How often a copy is fetched again whose hold ends before it can be used.
const HOLD_ATTEMPTS: usize = 3;

/// The most threads of requests that wait for the store. The runtime needs others to hear its response.
const MOST_WAITING: usize = 64;

/// What this instance shares with others.
pub(super) struct SharedKeys {
    keys: Arc<Shelf>,
    resumptions: Arc<Shelf>,
    key_sets: KeySets,
    /// The session keys in the whole store, as it last said.
    total: AtomicU64,
    /// Whether the last request to the store failed.
    is_away: AtomicBool,
    /// Places for threads that wait for the store.
    waiting: Semaphore,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a session is not opened.
pub(super) enum NotEstablished {
    /// What opened it is gone.
    Ended(Ending),
    Store(StoreError),
}

impl SharedKeys {
    /// Joins the instances that share this store.
    ///
    /// # Errors
    /// [`OpenStoreError`].
    pub(super) async fn open(
        sharing: &Sharing,
        reception: SharedReception,
    ) -> Result<(Self, Vec<Warning>), OpenStoreError> {
        let copies = |kind| Copies::new(kind, Arc::clone(&reception), sharing.hold / MARGIN);
        let rules = copies(SecretKind::Key).reception().rules().clone();
        let (keys, warnings) = Shelf::open(sharing, copies(SecretKind::Key), &rules).await?;
        let (resumptions, _) = Shelf::open(sharing, copies(SecretKind::Resumption), &rules).await?;
        let (keys, resumptions) = (Arc::new(keys), Arc::new(resumptions));
        let tending = [&keys, &resumptions].map(|shelf| tokio::spawn(tend(Arc::clone(shelf), sharing.hold)));
        let (total, is_away, waiting) =
            (AtomicU64::new(0), AtomicBool::new(false), Semaphore::new(MOST_WAITING));
        Ok((
            Self {
                keys,
                resumptions,
                key_sets: KeySets::default(),
                total,
                is_away,
                waiting,
                tasks: tending.into(),
            },
            warnings,
        ))
    }

    /// Handles the first packet of a connection.
    ///
    /// # Errors
    /// [`DecodeError`]: close without a response.
    pub(super) async fn receive(&self, packet: &[u8], fresh: &Fresh) -> Result<Outcome, DecodeError> {
        let held = match FirstPacket::decode(packet)? {
            FirstPacket::Forget(forget) => {
                return Ok(self.forget(&forget).await.unwrap_or_else(refused));
            }
            FirstPacket::Handshake { prologue: Prologue::Resume { id, .. }, .. } => {
                self.resumptions.hold(&id.0, Need::default()).await
            }
            FirstPacket::Handshake { prologue: Prologue::Attach { id, .. }, .. } => {
                self.keys.hold(&id.0, Need::default()).await
            }
            FirstPacket::Handshake { .. } | FirstPacket::ShareCheck(_) => Ok(()),
        };
        if let Err(error) = held {
            return Ok(refused(self.reason(&error)));
        }
        let outcome = self.copies().reception().receive(packet, unix_seconds(), fresh)?;
        let Outcome::Accepted(pending) = outcome else { return Ok(outcome) };
        Ok(match self.remember(&pending).await {
            Ok(()) => Outcome::Accepted(pending),
            Err(reason) => refused(reason),
        })
    }

    /// Makes sure that no instance accepts this packet again.
    async fn remember(&self, pending: &Pending) -> Result<(), Reason> {
        let (hash, owners, seconds) = pending.packet(unix_seconds());
        let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
        let places = self.copies().reception().rules().replay_memory as u64;
        let limits = ReplayLimits { all: places, of_owner: places / SHARES as u64 };
        let remembered = self.keys.store.remember(&hash, &owners, Duration::from_secs(seconds), limits).await;
        remembered.map_err(|error| match error {
            NotRemembered::Replayed => Reason::Replayed,
            NotRemembered::Full => Reason::Busy,
            NotRemembered::Store(error) => self.reason(&error),
        })
    }

    /// Keeps a session whose client has proved that it has the key.
    ///
    /// # Errors
    /// [`NotEstablished`]; then no instance has it.
    pub(super) async fn establish(&self, new: NewSession) -> Result<KeyId, NotEstablished> {
        let now = unix_seconds();
        let agreed = new.agreed(now);
        let lifetime = Duration::from_secs(agreed.expires_at.saturating_sub(now));
        if lifetime.is_zero() {
            return Err(NotEstablished::Ended(Ending::Expired));
        }
        if let Some(id) = &agreed.resumed {
            self.resumptions.hold(id, Need::default()).await.map_err(|error| self.not_established(error))?;
        }
        if let Some(resumption) = &agreed.resumption {
            let created = self.resumptions.create(resumption, lifetime).await;
            created.map_err(|error| self.not_established(error))?;
        }
        if let Err(error) = self.keys.create(&agreed.key, lifetime).await {
            if let Some(resumption) = &agreed.resumption {
                let _ = self.resumptions.delete(&resumption.id).await;
            }
            return Err(self.not_established(error));
        }
        self.copies().reception().note_opened(&agreed.key.about);
        Ok(KeyId(agreed.key.id))
    }

    fn not_established(&self, error: StoreError) -> NotEstablished {
        self.note(&error);
        match error {
            StoreError::NotFound => NotEstablished::Ended(Ending::Deleted),
            error => NotEstablished::Store(error),
        }
    }

    /// Has a secret wiped on all instances, for a client with its token. The proof is in the store before the secret leaves it, so
    /// a client that did not get its response gets the proof from any instance.
    async fn forget(&self, forget: &Forget) -> Result<Outcome, Reason> {
        for shelf in [&self.keys, &self.resumptions] {
            let Some((proof, about)) = self.find(shelf, forget).await? else { continue };
            let (kind, left) = (shelf.copies.kind(), shelf.copies.left(&forget.id).unwrap_or_default());
            self.keep_proof(forget, &proof, left).await.map_err(|error| self.reason(&error))?;
            shelf.delete(&forget.id).await.map_err(|error| self.reason(&error))?;
            shelf.store.disown(&about.owner(), &Id(forget.id)).await;
            self.copies().reception().note_forgotten(kind, &about);
            return Ok(forgotten(forget, proof));
        }
        self.forget_again(forget).await
    }

    /// The proof that a secret of this shelf is forgotten, before it is, and what is known about it. `None` if the shelf does not have it.
    async fn find(&self, shelf: &Shelf, forget: &Forget) -> Result<Option<(ForgetProof, About)>, Reason> {
        let kind = shelf.copies.kind();
        // The hold of a copy may end between the two steps.
        for _ in 0..HOLD_ATTEMPTS {
            match shelf.hold(&forget.id, Need::default()).await {
                Ok(()) => (),
                Err(StoreError::NotFound) => return Ok(None),
                Err(error) => return Err(self.reason(&error)),
            }
            let reception = self.copies().reception();
            let proof = reception.proof(kind, &forget.id, &forget.token).transpose()?;
            if let Some(found) = proof.zip(reception.about(kind, &forget.id)) {
                return Ok(Some(found));
            }
        }
        Err(Reason::Busy)
    }

    /// The proof of what was forgotten before. A deletion that was not confirmed then is confirmed now.
    async fn forget_again(&self, forget: &Forget) -> Result<Outcome, Reason> {
        let kept = self.keys.store.cached(&proofs_of(forget)).await.map_err(|error| self.reason(&error))?;
        let proof = kept.iter().find_map(|entry| unpack_proof(&entry.secret, &forget.token));
        let proof = proof.ok_or(Reason::NoSuchKey)?;
        for shelf in [&self.keys, &self.resumptions] {
            shelf.delete(&forget.id).await.map_err(|error| self.reason(&error))?;
        }
        Ok(forgotten(forget, proof))
    }

    async fn keep_proof(
        &self,
        forget: &Forget,
        proof: &ForgetProof,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let (store, of) = (&self.keys.store, proofs_of(forget));
        // Another instance that has the turn keeps the same proof.
        let Turn::Own(turn) = store.begin_exchange(&of).await? else { return Ok(()) };
        let secret = pack_proof(&forget.token, proof)?;
        let most = PROOFS_FOR_EACH * self.copies().reception().rules().max_keys as u64;
        let entry = NewEntry {
            id: Id(forget.id),
            secret: &secret,
            description: b"",
            farewell: None,
            lifetime: lifetime.max(Duration::from_secs(1)),
            most,
        };
        let kept = store.keep(&turn, &of, &entry).await;
        store.end_exchange(turn).await;
        kept.map(drop)
    }

    /// Makes sure that a key may be used at this instance.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(super) async fn prepare(&self, key_id: &KeyId, key_use: KeyUse) -> Result<(), KeyError> {
        let held = match self.keys.hold(&key_id.0, need_of(key_use)).await {
            Err(StoreError::UsedUp) => {
                // It still decrypts.
                let held = self.keys.hold(&key_id.0, Need::default()).await;
                self.copies().reception().grant_nothing(&key_id.0);
                held
            }
            held => held,
        };
        held.map_err(|error| match error {
            StoreError::NotFound => KeyError::NotFound,
            error => {
                self.note(&error);
                KeyError::NotHeld
            }
        })
    }

    /// Whether a key may be used for this without asking the store.
    pub(super) fn is_ready(&self, key_id: &KeyId, key_use: KeyUse) -> bool {
        self.copies().standing(&key_id.0, need_of(key_use)) == Standing::Held
    }

    /// Waits for the store on this thread. The other tasks of the thread move to another one.
    ///
    /// # Errors
    /// [`KeyError`]; also if too many wait already.
    pub(super) fn wait_for<T>(&self, work: impl Future<Output = Result<T, KeyError>>) -> Result<T, KeyError> {
        let _place = self.waiting.try_acquire().map_err(|_| KeyError::NotHeld)?;
        block_in_place(|| Handle::current().block_on(work))
    }

    /// Whether the copy of a key may be used at this moment.
    pub(super) fn is_held(&self, key_id: &KeyId) -> bool {
        self.copies().is_held(&key_id.0)
    }

    /// All sessions of all instances.
    ///
    /// # Errors
    /// [`KeyError::NotHeld`].
    pub(super) async fn sessions(&self) -> Result<Vec<HeldSession>, KeyError> {
        let mut sessions = Vec::new();
        let session = |row: Row| About::decode(&row.description)?.session(row.expires_at / 1000);
        let walk = self.keys.store.each(|row| sessions.extend(session(row))).await;
        walk.map_err(|error| {
            self.note(&error);
            KeyError::NotHeld
        })?;
        sessions.sort_by_key(|session| (session.since, session.key_id));
        Ok(sessions)
    }

    /// Ends all sessions on all instances. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left.
    pub(super) async fn drop_all(&self) -> Result<usize, StoreError> {
        let keys = self.keys.store.delete_many(None).await?;
        self.resumptions.store.delete_many(None).await?;
        Ok(keys.and_then(|keys| keys.try_into().ok()).unwrap_or_default())
    }

    /// Reads the key file of the store again. Returns the tags in audit logs that it makes.
    ///
    /// # Errors
    /// [`KeyFileError`]; then the keys are the ones from before.
    pub(super) fn reload_keys(&self) -> Result<AuditTags, KeyFileError> {
        let keys = self.keys.store.read_keys()?;
        let tags = keys.audit_tags()?;
        self.resumptions.store.use_keys(Arc::clone(&keys));
        self.keys.store.use_keys(keys);
        Ok(tags)
    }

    /// Asks the store how many keys it has, and compares this instance's key sets with those of the others.
    pub(super) async fn refresh(&self, sets: &[ServedKeySet]) {
        if let Err(error) = self.key_sets.compare(&self.keys.store, sets, unix_seconds()).await {
            self.note(&error);
        }
        match self.keys.store.count().await {
            Ok(count) => {
                self.total.store(count.total, Ordering::Relaxed);
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the shared store can be used again");
                }
            }
            Err(error) => self.note(&error),
        }
    }

    /// The session keys in the whole store, as it last said.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether the store can be used.
    pub(super) fn is_up(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed) && self.keys.store.is_up() && self.resumptions.store.is_up()
    }

    /// Whether another instance serves a key set that this one does not have.
    pub(super) fn lacks_key_sets(&self) -> bool {
        self.key_sets.lacks_some()
    }

    fn copies(&self) -> &Copies {
        &self.keys.copies
    }

    /// What a client hears.
    fn reason(&self, error: &StoreError) -> Reason {
        self.note(error);
        match error {
            StoreError::NotFound => Reason::NoSuchKey,
            _ => Reason::Busy,
        }
    }

    /// Logs an outage, once.
    fn note(&self, error: &StoreError) {
        match error {
            StoreError::NotFound | StoreError::UsedUp => (),
            StoreError::Unavailable(_) => {
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        %error,
                        "clients are refused until the shared store can be used again, and tunnels are cut when their holds end"
                    );
                }
            }
            error => tracing::warn!(%error, "a client was refused because of the shared store"),
        }
    }
}

impl Drop for SharedKeys {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Keeps the holds of what is used, and wipes what is no longer held, on time.
async fn tend(shelf: Arc<Shelf>, hold: Duration) {
    let tick = hold / 8;
    loop {
        shelf.tend(hold / 2);
        let next = shelf.next_end().unwrap_or(tick).min(tick);
        sleep(next.max(Duration::from_millis(1))).await;
    }
}

fn refused(reason: Reason) -> Outcome {
    tracing::debug!(%reason, "a first packet was refused");
    Outcome::Respond(Response::Refused(reason))
}

fn forgotten(forget: &Forget, proof: ForgetProof) -> Outcome {
    let response = Response::Forgotten { id: forget.id, proof };
    Outcome::Forgotten(response, Closing::without_connections())
}

/// What the store keeps the proof of a forgotten secret under.
fn proofs_of(forget: &Forget) -> String {
    format!("forgotten {}", hex::encode(forget.id))
}
