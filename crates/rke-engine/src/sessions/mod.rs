//! What can be done with sessions: open, use, list and end them. The HTTP layer calls only this module, and nothing
//! below it.

mod domain_queue;
mod ended;
mod ending;
mod exporting;
mod in_flight;
#[cfg(feature = "made-up-sessions")]
pub mod made_up;
mod open_error;
mod opening;
mod overview;
mod search;
mod shared;
mod sharing;
mod suspend;
pub(crate) mod tunnels;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rke_host::exports::Exports;
pub use rke_host::streams::Nonce;
use rke_host::wallet::WalletRoot;
use rke_proto::cipher::{aes256_ctr, aes256_ctr_stack_use};
use rke_proto::directory::Directory;
use rke_proto::handshake::BreakCode;
use rke_proto::tunnel::{ClientKeyId, NonceMemory};
use rke_secret::fill_random;

use self::domain_queue::DomainQueues;
pub use self::ended::Ended;
pub use self::ending::{CachedKey, DeleteError};
use self::in_flight::Creations;
pub use self::open_error::OpenError;
pub use self::overview::Changes;
use self::search::Residues;
use self::shared::Shared;
pub use self::shared::{KeyFileError, OpenStoreError, StoreError};
use self::suspend::SuspendWatch;
use self::tunnels::Tunnels;
use crate::Domain;
use crate::activity::Subject;
use crate::blocking::FewAtOnce;
use crate::discovery::{Discovered, DiscoveryError};
use crate::exchange::{self, Exchange, ExchangeError};
use crate::guardians::RefreshError;
use crate::journal::Journal;
use crate::keys::{self, Keystore};
use crate::model::clock::{Moment, wall_clock};
use crate::model::session_id::SessionId;
use crate::remote_deletions::RemoteDeletions;
use crate::settings::{Config, Fixed, Reloadable};
use crate::store::{self, KeyError, KeyUse, NewSession, OnExpiry, OnUsedUp, Store};

/// Whether a cached key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// The domain's cached key, if it has a valid one.
    Cached,
    /// A new key in any case.
    Fresh,
}

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
pub enum CryptError {
    /// The session or its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No nonce could be drawn.
    #[error("the system's generator of random bytes failed: {0}")]
    Random(#[from] getrandom::Error),
}

/// How many keys are read from the cache at one time. More at once would not make the files faster.
const CACHE_READS: usize = 8;

/// The sessions of a daemon, and everything needed to open one.
pub struct Sessions {
    store: Store,
    /// The store that other machines share, if they do. Then `store` has this machine's copies.
    shared: Option<Arc<Shared>>,
    keystore: Arc<Keystore>,
    cache_reads: FewAtOnce,
    exchange: Arc<Exchange>,
    remote: Arc<RemoteDeletions>,
    tunnels: Arc<Tunnels>,
    domain_queues: DomainQueues<Arc<ExchangeError>>,
    creations: Creations,
    suspend: SuspendWatch,
    wallet_root: ArcSwapOption<WalletRoot>,
    residues: Arc<Residues>,
    exports: Exports,
    /// How requests for a session ended.
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// The nonces seen under each key that was used in a tunnel, so that no packet is accepted twice.
    seen: Mutex<HashMap<ClientKeyId, Arc<Mutex<NonceMemory>>>>,
    journal: Arc<Journal>,
    fixed: Fixed,
    config: ArcSwap<Reloadable>,
    started: (Moment, Timestamp),
}

/// What sessions work with.
pub struct Parts {
    pub keystore: Arc<Keystore>,
    pub exchange: Arc<Exchange>,
    pub remote: Arc<RemoteDeletions>,
    pub wallet_root: Option<WalletRoot>,
    pub journal: Arc<Journal>,
}

impl Sessions {
    /// Starts without sessions.
    pub fn new(config: Config, parts: Parts) -> Self {
        let tunnels = Arc::<Tunnels>::default();
        let Parts { remote, journal, .. } = &parts;
        let rules = store_rules(&config.reloadable);
        let store = Store::telling(rules, on_expiry(journal, remote, &tunnels), on_used_up(journal));
        Self::over((store, None), (tunnels, Arc::default()), config, parts)
    }

    /// Joins the machines that share sessions, if the settings name their store; otherwise as [`Sessions::new`].
    ///
    /// # Errors
    /// [`OpenStoreError`].
    pub async fn start(config: Config, parts: Parts) -> Result<Self, OpenStoreError> {
        let Some(sharing) = &config.fixed.store else { return Ok(Self::new(config, parts)) };
        let (tunnels, residues) = (Arc::<Tunnels>::default(), Arc::<Residues>::default());
        let (limits, (remote, journal)) = (store_rules(&config.reloadable), (&parts.remote, &parts.journal));
        let shared = shared::Parts { limits, tunnels: &tunnels, residues: &residues, remote, journal };
        let (shared, copies) = shared::open(sharing, shared).await?;
        Ok(Self::over((copies, Some(shared)), (tunnels, residues), config, parts))
    }

    fn over(
        (store, shared): (Store, Option<Arc<Shared>>),
        (tunnels, residues): (Arc<Tunnels>, Arc<Residues>),
        config: Config,
        parts: Parts,
    ) -> Self {
        let Config { fixed, reloadable: config } = config;
        let Parts { keystore, exchange, remote, wallet_root, journal } = parts;
        // The deletions hold the exchange, so the exchange must not own the deletions.
        let unclaimed = Arc::downgrade(&remote);
        exchange.give_up().set(move |deletion| {
            if let Some(remote) = unclaimed.upgrade() {
                remote.submit([deletion]);
            }
        });
        Self {
            store,
            shared,
            keystore,
            cache_reads: FewAtOnce::new(CACHE_READS),
            exchange,
            remote,
            tunnels,
            domain_queues: DomainQueues::default(),
            creations: Creations::new(),
            suspend: SuspendWatch::new(),
            wallet_root: ArcSwapOption::new(wallet_root.map(Arc::new)),
            residues,
            exports: Exports::new(config.allow_export.clone()),
            outcomes: Mutex::default(),
            seen: Mutex::default(),
            journal,
            fixed,
            config: ArcSwap::from_pointee(config),
            started: (Moment::now(), wall_clock()),
        }
    }

    /// Applies other settings, and the contents of the files that they name. Returns the names of those that stay as they are,
    /// because other machines share them.
    pub fn change(
        &self,
        mut config: Reloadable,
        directory: Directory,
        wallet_root: Option<WalletRoot>,
    ) -> Vec<&'static str> {
        let kept = match &self.shared {
            Some(_) => shared::keep_common(&self.config(), &mut config),
            None => Vec::new(),
        };
        self.exchange.look_again();
        let (guardians, pins) = (config.guardians.clone(), config.pins.clone());
        self.exchange.change(exchange::ExchangeConfig::of(&config), directory, guardians, pins);
        if self.shared.is_none() {
            self.store.set_rules(store_rules(&config));
        }
        self.keystore.set_limits(keys::Limits { ttl_hours: config.key_ttl_hours, max: config.max_keys });
        self.wallet_root.store(wallet_root.map(Arc::new));
        self.exports.set_labels(config.allow_export.clone());
        self.config.store(Arc::new(config));
        kept
    }

    /// The store, for code that uses keys.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// How Content Servers are found.
    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The open tunnels.
    pub(crate) fn tunnels(&self) -> &Arc<Tunnels> {
        &self.tunnels
    }

    /// Where events are reported.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Inserts a session that was not opened by a request.
    ///
    /// # Errors
    /// [`store::Full`].
    #[cfg(feature = "testing")]
    pub fn insert(&self, id: SessionId, session: NewSession) -> Result<store::SessionInfo, store::Full> {
        self.store.insert(id, session)
    }

    /// Makes the clocks read, from now on, as if the machine had slept for this long.
    #[cfg(feature = "testing")]
    pub fn make_up_sleep(&self, sleep: Duration) {
        self.suspend.make_up(sleep);
    }

    /// The nonces seen under the key with this id, kept for as long as the daemon runs.
    pub(crate) fn seen_under(&self, key_id: ClientKeyId) -> Arc<Mutex<NonceMemory>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seen.entry(key_id).or_default())
    }

    /// The settings that stay the same for as long as the daemon runs.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// The current settings that a reload may change.
    pub fn config(&self) -> Arc<Reloadable> {
        self.config.load_full()
    }

    /// How long the daemon has been running, and since when.
    pub fn uptime(&self) -> (Duration, Timestamp) {
        let (moment, time) = self.started;
        (Moment::now().since(moment), time)
    }

    /// Finds a domain's Content Server from fresh DNS records.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn discover(&self, domain: &Domain) -> Result<Discovered, DiscoveryError> {
        self.exchange.look_again();
        self.exchange.discover(domain, self.exchange.deadline()).await
    }

    /// Asks the guardians now where the RAIDAs are.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh_directory(&self) -> Result<(), RefreshError> {
        self.exchange.agreed_directory().refresh().await
    }

    /// How many requests for a session ended with each outcome.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Encrypts in place under a fresh random nonce, with a session that has not expired by `now`.
    ///
    /// # Errors
    /// [`CryptError`]; then nothing is encrypted.
    pub fn encrypt(&self, id: SessionId, now: Moment, data: &mut [u8]) -> Result<Nonce, CryptError> {
        let mut nonce = Nonce::default();
        fill_random(&mut nonce)?;
        let key_use = KeyUse::Encrypt(data.len());
        let encrypt = |key: &[u8; 32]| aes256_ctr(key, &nonce, data);
        self.store.with_key_within(id, key_use, now, aes256_ctr_stack_use(), encrypt)?;
        Ok(nonce)
    }

    /// Decrypts in place, with a session that has not expired by `now`.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing is decrypted.
    pub fn decrypt(
        &self,
        id: SessionId,
        now: Moment,
        nonce: &Nonce,
        data: &mut [u8],
    ) -> Result<(), KeyError> {
        let decrypt = |key: &[u8; 32]| aes256_ctr(key, nonce, data);
        self.store.with_key_within(id, KeyUse::Decrypt, now, aes256_ctr_stack_use(), decrypt)
    }

    /// How many scratch stacks memory scans have found not wiped: 0, unless rke has a bug.
    pub fn residues_found(&self) -> u64 {
        self.residues.found()
    }

    /// Gives a session its full lifetime again, up to the maximum lifetime. Returns when it ends.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] if no such session exists.
    pub async fn renew(&self, id: SessionId) -> Result<Timestamp, StoreError> {
        let (origin, page, expires_at) = match &self.shared {
            Some(shared) => {
                // Its copy may be gone when it is renewed.
                let (row, page) = (self.show(id).await?, self.store.page(id));
                (row.origin, page, shared.renew(id).await?)
            }
            None => {
                let row = self.store.renew(id).ok_or(StoreError::NotFound)?;
                (row.origin, self.store.page(id), row.expires_at)
            }
        };
        tracing::info!("session renewed");
        self.journal.session_renewed(Subject { session: id, domain: origin.domain.clone(), page });
        Ok(expires_at)
    }
}

/// Wipes the key of a session that has ended, here and then at the other end, and reports it.
fn on_expiry(journal: &Arc<Journal>, remote: &Arc<RemoteDeletions>, tunnels: &Arc<Tunnels>) -> OnExpiry {
    let (journal, tunnels) = (Arc::clone(journal), Arc::clone(tunnels));
    // The store's sweeper may outlive the daemon's stop by a moment, and must not keep the data directory in use.
    let remote = Arc::downgrade(remote);
    Box::new(move |id, session, late| {
        let deletion = session.remote_deletion();
        let NewSession { origin, key, page, .. } = session;
        drop(key);
        tunnels.cut(id, BreakCode::Expired);
        let subject = Subject { session: id, domain: origin.domain.clone(), page };
        journal.session_expired(subject, deletion.as_ref().map(|of| of.id), late);
        if let Some(remote) = remote.upgrade() {
            remote.submit(deletion);
        }
    })
}

/// Reports that a session's key has reached its encryption limit.
fn on_used_up(journal: &Arc<Journal>) -> OnUsedUp {
    let journal = Arc::clone(journal);
    Box::new(move |session, domain, page| journal.session_used_up(Subject { session, domain, page }))
}

fn store_rules(config: &Reloadable) -> store::SessionLimits {
    store::SessionLimits {
        max: config.max_sessions,
        ttl: config.session_ttl,
        max_lifetime: config.session_max_lifetime,
        idle: config.session_idle,
        usage: config.key_limits,
    }
}

#[cfg(test)]
mod tests;
