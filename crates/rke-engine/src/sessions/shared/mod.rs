//! Sessions that this daemon shares with others, in a store outside of it. This machine has copies of keys, in the same [`store`](crate::store)
//! that has the sessions of a daemon of its own, and asks the shared store for everything else.

mod cache;
mod description;
mod ended;
mod held;
mod servers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rke_proto::handshake::KeyId;
use rke_shared_store::key_file;
pub use rke_shared_store::key_file::KeyFileError;
use rke_shared_store::{
    Count, Created, Id, Limits, NewRecord, Outage, Role, Row, SETTLE, Settings, Sharing, Store,
};
pub use rke_shared_store::{OpenStoreError, StoreError};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(super) use self::cache::OwnExchange;
use self::description::{Description, Farewell};
pub(super) use self::ended::Holders;
use self::ended::{Farewells, OnEndedParts};
use self::held::Wiper;
pub(super) use self::servers::prevails;
use super::domain_queue::Queues;
use super::search::Residues;
use super::tunnels::Tunnels;
use crate::Domain;
use crate::journal::Journal;
use crate::model::clock::timestamp;
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::session_id::SessionId;
use crate::model::usage::UsageLimits;
use crate::model::viewer::Viewer;
use crate::remote_deletions::RemoteDeletions;
use crate::settings::Reloadable;
use crate::store::{self, Copies, NewSession, SessionInfo, SessionLimits};

/// For how long the store's change number is not asked for again, however many listen.
const CHANGES_FRESH: Duration = Duration::from_millis(200);

/// The sessions in the shared store, and the copies that this machine has of some of their keys.
pub(crate) struct Shared {
    store: Store,
    copies: Copies,
    /// The requests that fetch a key.
    fetches: Queues<SessionId, ()>,
    usage: UsageLimits,
    hold: Duration,
    remote: Weak<RemoteDeletions>,
    journal: Arc<Journal>,
    farewells: Arc<Farewells>,
    /// Whether the latest creation found no room, so that the next one looks before it asks a RAIDA.
    was_full: AtomicBool,
    /// The store's change number, and when it was asked for.
    changes: Mutex<Option<(Instant, u64)>>,
}

/// What a daemon's shared sessions work with.
pub(super) struct Parts<'a> {
    pub(super) limits: SessionLimits,
    pub(super) tunnels: &'a Arc<Tunnels>,
    pub(super) residues: &'a Arc<Residues>,
    pub(super) remote: &'a Arc<RemoteDeletions>,
    pub(super) journal: &'a Arc<Journal>,
}

/// The limits that all machines share.
fn limits(of: &SessionLimits, hold: Duration) -> Limits {
    Limits {
        max: of.max as u64,
        ttl: of.ttl,
        max_lifetime: of.max_lifetime,
        idle: of.idle,
        hold,
        messages: of.usage.messages,
        bytes: of.usage.bytes,
    }
}

/// Keeps the limits that all machines share as they are: they change when all machines are started again. Returns the names of those
/// that differ in `wanted`.
pub(super) fn keep_common(own: &Reloadable, wanted: &mut Reloadable) -> Vec<&'static str> {
    let usage = (own.key_limits, wanted.key_limits);
    let differs = [
        ("max-sessions", own.max_sessions != wanted.max_sessions),
        ("session-ttl", own.session_ttl != wanted.session_ttl),
        ("session-max-lifetime", own.session_max_lifetime != wanted.session_max_lifetime),
        ("session-idle", own.session_idle != wanted.session_idle),
        ("key-max-messages", usage.0.messages != usage.1.messages),
        ("key-max-bytes", usage.0.bytes != usage.1.bytes),
    ];
    *wanted = Reloadable {
        max_sessions: own.max_sessions,
        session_ttl: own.session_ttl,
        session_max_lifetime: own.session_max_lifetime,
        session_idle: own.session_idle,
        key_limits: own.key_limits,
        ..wanted.clone()
    };
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Connects to the store, and reports what may weaken it. Returns the store of copies too.
///
/// # Errors
/// [`OpenStoreError`].
pub(super) async fn open(
    settings: &Sharing,
    parts: Parts<'_>,
) -> Result<(Arc<Shared>, store::Store), OpenStoreError> {
    let Parts { limits: rules, tunnels, residues, remote, journal } = parts;
    // Before anything of a session is recorded.
    journal.audit().tag_with(key_file::read_audit_tags(&settings.key_file)?);
    let whose = Arc::<OnceLock<Weak<Shared>>>::default();
    let copies_store = store::Store::of_copies(rules, held::on_end(&whose, tunnels, rules.usage));
    let copies = copies_store.copies();
    let holder = Arc::new(Wiper {
        copies: copies.clone(),
        tunnels: Arc::clone(tunnels),
        residues: Arc::clone(residues),
    });
    let farewells = Arc::<Farewells>::default();
    let on_ended = ended::on_ended(OnEndedParts {
        journal: Arc::clone(journal),
        tunnels: Arc::clone(tunnels),
        remote: Arc::downgrade(remote),
        farewells: Arc::clone(&farewells),
    });
    let opened = Settings {
        addresses: settings.addresses.clone(),
        key_file: settings.key_file.clone(),
        role: Role::Daemon,
        limits: limits(&rules, settings.hold),
        settle: SETTLE,
    };
    let (store, warnings) = Store::open(opened, holder, on_ended).await?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let shared = Arc::new(Shared {
        store,
        copies,
        fetches: Queues::default(),
        usage: rules.usage,
        hold: settings.hold,
        remote: Arc::downgrade(remote),
        journal: Arc::clone(journal),
        farewells,
        was_full: AtomicBool::new(false),
        changes: Mutex::default(),
    });
    // Set once, here.
    let _ = whose.set(Arc::downgrade(&shared));
    ended::report_farewells(&shared, remote);
    Ok((shared, copies_store))
}

impl Shared {
    /// Why the store cannot be used now, if so.
    pub(super) fn outage(&self) -> Option<Outage> {
        self.store.outage()
    }

    /// Reads the key file again.
    ///
    /// # Errors
    /// [`KeyFileError`]; then the keys are the ones from before.
    pub(super) fn reload_keys(&self) -> Result<(), KeyFileError> {
        let keys = self.store.read_keys()?;
        let tags = keys.audit_tags()?;
        self.store.use_keys(keys);
        self.journal.audit().tag_with(tags);
        Ok(())
    }

    /// Whether a session could be opened now. Asks only if the latest one could not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn check_room(&self, max: usize) -> Result<(), StoreError> {
        if !self.store.is_up() || !self.was_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let max = max as u64;
        match self.store.count().await?.total < max {
            true => Ok(()),
            false => Err(StoreError::Full { max, retry_after: Duration::from_secs(1) }),
        }
    }

    /// Adds a session. It is taken back if nobody waits for it any longer.
    ///
    /// # Errors
    /// [`StoreError`]; then its key is wiped at the other end too.
    pub(super) async fn create(
        self: &Arc<Self>,
        session: NewSession,
    ) -> Result<(SessionId, SessionInfo), StoreError> {
        let (shared, (announce, announced)) = (Arc::clone(self), oneshot::channel());
        tokio::spawn(async move {
            let created = shared.add(&session).await;
            let deletion = session.remote_deletion();
            drop(session);
            shared.was_full.store(matches!(created, Err(StoreError::Full { .. })), Ordering::Relaxed);
            if created.is_err() {
                shared.submit(deletion);
            }
            if let Err(Ok((id, _))) = announce.send(created) {
                // If it fails, it goes on in the background.
                let _ = shared.delete(id, Holders::Wipe).await;
            }
        });
        announced.await.unwrap_or(Err(StoreError::Damaged))
    }

    async fn add(&self, session: &NewSession) -> Result<(SessionId, SessionInfo), StoreError> {
        let (Some(secret), Some(farewell)) = (session.key.secret(), session.key.farewell()) else {
            return Err(StoreError::Damaged);
        };
        let described = Description {
            origin: Arc::clone(&session.origin),
            page: session.page.clone(),
            from_cache: session.from_cache,
            id: farewell.key_id.0,
            lives_until: farewell.lives_until,
        };
        let description = described.to_bytes().ok_or(StoreError::Damaged)?;
        let farewell = Farewell { token: farewell.token, proof: farewell.proof }.to_bytes();
        let (domain, farewell) = (session.origin.domain.as_str(), Some(farewell.as_slice()));
        let new = NewRecord { id: None, secret, domain, description: &description, farewell };
        let Created { id, created_at, expires_at } = self.store.create(new).await?;
        Ok((SessionId(id.0), described.row(&id, created_at, expires_at)))
    }

    /// Deletes all sessions, or those of a domain. Returns how many there were, unless it was limited to a domain.
    ///
    /// # Errors
    /// [`StoreError`]; some may then be deleted and others not.
    pub(super) async fn delete_many(&self, domain: Option<&str>) -> Result<Option<u64>, StoreError> {
        self.store.delete_many(domain).await
    }

    /// Gives a session its full lifetime again. Its copy must be here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn renew(&self, id: SessionId) -> Result<jiff::Timestamp, StoreError> {
        self.store.renew(&store_id(id)).await.map(|expires_at| timestamp(expires_at / 1000))
    }

    /// # Errors
    /// [`StoreError`].
    pub(super) async fn count(&self) -> Result<store::Count, StoreError> {
        let Count { total, held } = self.store.count().await?;
        let total = total.try_into().unwrap_or(usize::MAX);
        Ok(store::Count { total, active: total, held: Some(held) })
    }

    /// Reads all rows, and hands on those that can be understood.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn each_row(
        &self,
        mut each: impl FnMut(SessionId, &Description, SessionInfo),
    ) -> Result<(), StoreError> {
        let mut is_damaged = false;
        let walk =
            self.store.each(|Row { id, created_at, expires_at, description }| {
                match Description::decode(&description) {
                    Ok(described) => {
                        let row = described.row(&id, created_at, expires_at);
                        each(SessionId(id.0), &described, row);
                    }
                    Err(_) => is_damaged = true,
                }
            });
        walk.await?;
        if is_damaged { Err(StoreError::Damaged) } else { Ok(()) }
    }

    /// The sessions that the viewer may see, oldest first, and how many there are. Uses are counted while this machine has a copy.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn rows(
        &self,
        viewer: &Viewer,
        copies: &store::Store,
    ) -> Result<(store::Count, Vec<SessionInfo>), StoreError> {
        let mut rows = Vec::new();
        self.each_row(|id, described, row| {
            if viewer.sees(described.page.as_ref()) {
                let held = copies.row(id);
                let (encrypt_count, decrypt_count) =
                    held.map_or((0, 0), |held| (held.encrypt_count, held.decrypt_count));
                rows.push(SessionInfo { encrypt_count, decrypt_count, ..row });
            }
        })
        .await?;
        rows.sort_by_key(|row| row.created_at);
        let count = self.count().await?;
        let total = if *viewer == Viewer::Program { count.total.max(rows.len()) } else { rows.len() };
        Ok((store::Count { total, active: rows.len(), held: count.held }, rows))
    }

    /// The sessions that the viewer may see, all of them or those of a domain.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn chosen(
        &self,
        domain: Option<&Domain>,
        viewer: &Viewer,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut chosen = Vec::new();
        let is_of_domain = |of: &Domain| domain.is_none_or(|domain| domain == of);
        self.each_row(|id, described, row| {
            if viewer.sees(described.page.as_ref()) && is_of_domain(&row.origin.domain) {
                chosen.push(id);
            }
        })
        .await?;
        Ok(chosen)
    }

    /// A number that changes when sessions do. While the store cannot be reached it stays as it is.
    pub(super) async fn changes(&self) -> u64 {
        let known = *self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((at, changes)) = known
            && now.duration_since(at) < CHANGES_FRESH
        {
            return changes;
        }
        let before = known.map_or(0, |(_, changes)| changes);
        // Others do not ask meanwhile.
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, before));
        let changes = self.store.changes().await.unwrap_or(before);
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, changes));
        changes
    }

    fn submit(&self, deletion: Option<RemoteDeletion>) {
        if let Some(remote) = self.remote.upgrade() {
            remote.submit(deletion);
        }
    }
}

impl Description {
    /// What may be shown about the session.
    fn row(&self, id: &Id, created_at: u64, expires_at: u64) -> SessionInfo {
        SessionInfo {
            session_id: SessionId(id.0).to_string(),
            created_at: timestamp(created_at / 1000),
            expires_at: timestamp(expires_at / 1000),
            encrypt_count: 0,
            decrypt_count: 0,
            from_cache: self.from_cache,
            origin: Arc::clone(&self.origin),
            key_id: Some(KeyId(self.id)),
            lives_until: Some(self.lives_until),
        }
    }
}

fn store_id(id: SessionId) -> Id {
    Id(id.0)
}
