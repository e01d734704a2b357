//! What can be done with sessions: open, use, list and end them. The HTTP layer calls this and
//! nothing below it.

mod domain_queue;
mod ending;
mod in_flight;
#[cfg(feature = "made-up-sessions")]
pub mod made_up;
mod open_error;
mod opening;
mod suspend;
pub(crate) mod tunnels;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rke_host::wallet::WalletRoot;
use rke_proto::cipher::{BLOCK_LEN, aes256_ctr, aes256_ctr_stack_use};
use rke_proto::handshake::BreakCode;
use rke_proto::tunnel::{ClientKeyId, NonceMemory};
use rke_secret::fill_random;

use self::domain_queue::Gates;
pub use self::ending::{CachedKey, DeleteError, Ended};
use self::in_flight::Creations;
pub use self::open_error::OpenError;
use self::suspend::SuspendWatch;
use self::tunnels::Tunnels;
use crate::Domain;
use crate::blocking::FewAtOnce;
use crate::discovery::{Discovered, DiscoveryError};
use crate::exchange::{Exchange, ExchangeError};
use crate::journal::Journal;
use crate::keys::{self, Keystore};
use crate::model::clock::{Moment, wall_clock};
use crate::model::session_id::SessionId;
use crate::remote_deletions::RemoteDeletions;
use crate::settings::{Config, Fixed, Reloadable};
use crate::store::{self, KeyError, KeyUse, NewSession, OnExpiry, Row, Store};

/// Whether a cached key will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// The domain's cached key, where there is a valid one.
    Cached,
    /// A new key in any case.
    Fresh,
}

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
pub enum CryptError {
    /// The session or its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no nonce.
    #[error("the system's generator of random bytes failed: {0}")]
    Random(#[from] getrandom::Error),
}

/// The nonce of one encryption: AES-CTR's first counter block.
pub type Nonce = [u8; BLOCK_LEN];

/// Keys that are read from the cache at one time: files are no faster for more of them.
const CACHE_READS: usize = 8;

/// The sessions of a daemon, and all that opening one takes.
pub struct Sessions {
    store: Store,
    keystore: Arc<Keystore>,
    cache_reads: FewAtOnce,
    exchange: Arc<Exchange>,
    remote: Arc<RemoteDeletions>,
    tunnels: Arc<Tunnels>,
    gates: Gates<Arc<ExchangeError>>,
    creations: Creations,
    suspend: SuspendWatch,
    wallet_root: ArcSwapOption<WalletRoot>,
    residues_found: AtomicU64,
    /// How requests for a session ended.
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// The nonces of each key that was used in a tunnel, so that no packet is accepted twice.
    seen: Mutex<HashMap<ClientKeyId, Arc<Mutex<NonceMemory>>>>,
    journal: Arc<Journal>,
    fixed: Fixed,
    config: ArcSwap<Reloadable>,
    started: (Moment, Timestamp),
}

impl Sessions {
    /// No sessions yet.
    pub fn new(
        config: Config,
        keystore: Arc<Keystore>,
        exchange: Arc<Exchange>,
        remote: Arc<RemoteDeletions>,
        wallet_root: Option<WalletRoot>,
        journal: Arc<Journal>,
    ) -> Self {
        let Config { fixed, reloadable: config } = config;
        let tunnels = Arc::default();
        // The deletions have the exchange, so it must not have them.
        let unclaimed = Arc::downgrade(&remote);
        exchange.give_up().set(move |deletion| {
            if let Some(remote) = unclaimed.upgrade() {
                remote.submit([deletion]);
            }
        });
        let on_expiry = on_expiry(&journal, &remote, &tunnels);
        Self {
            store: Store::new(store_rules(&config), on_expiry),
            keystore,
            cache_reads: FewAtOnce::new(CACHE_READS),
            exchange,
            remote,
            tunnels,
            gates: Gates::default(),
            creations: Creations::new(),
            suspend: SuspendWatch::new(),
            wallet_root: ArcSwapOption::new(wallet_root.map(Arc::new)),
            residues_found: AtomicU64::new(0),
            outcomes: Mutex::default(),
            seen: Mutex::default(),
            journal,
            fixed,
            config: ArcSwap::from_pointee(config),
            started: (Moment::now(), wall_clock()),
        }
    }

    /// Goes on with other settings; those of the exchange and of the gate are not its own to change.
    pub fn change(&self, config: Reloadable, wallet_root: Option<WalletRoot>) {
        self.store.set_rules(store_rules(&config));
        self.keystore.set_limits(keys::Limits { ttl_hours: config.key_ttl_hours, max: config.max_keys });
        self.wallet_root.store(wallet_root.map(Arc::new));
        self.config.store(Arc::new(config));
    }

    /// The store, for what only reads.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The key cache, for what only reads.
    pub fn keystore(&self) -> &Arc<Keystore> {
        &self.keystore
    }

    /// How keys are exchanged, and what is known of the RAIDAs.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Deletions at the other ends.
    pub fn remote_deletions(&self) -> &RemoteDeletions {
        &self.remote
    }

    /// The tunnels that are open.
    pub(crate) fn tunnels(&self) -> &Arc<Tunnels> {
        &self.tunnels
    }

    /// Why the Content Server broke off the session's tunnel that ended last, if it did.
    pub fn tunnel_broken_off(&self, id: SessionId) -> Option<String> {
        self.tunnels.broken_off(id)
    }

    /// Breaks off all tunnels because the daemon stops, and waits until the last one is gone.
    pub async fn stop_tunnels(&self) {
        self.tunnels.stop().await;
    }

    /// Where events are reported.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// From here on the clocks are read as after a sleep of this length.
    #[cfg(feature = "testing")]
    pub fn make_up_sleep(&self, sleep: Duration) {
        self.suspend.make_up(sleep);
    }

    /// The nonces that were seen under a key by its name, for as long as the daemon runs.
    pub(crate) fn seen_under(&self, key_id: ClientKeyId) -> Arc<Mutex<NonceMemory>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seen.entry(key_id).or_default())
    }

    /// The settings that hold for as long as the daemon runs.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// The settings that a reload may change, as they are now.
    pub fn config(&self) -> Arc<Reloadable> {
        self.config.load_full()
    }

    /// How long the daemon has been running, and since when.
    pub fn uptime(&self) -> (Duration, Timestamp) {
        let (moment, time) = self.started;
        (Moment::now().since(moment), time)
    }

    /// Finds a domain's Content Server, as DNS has it now.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn discover(&self, domain: &Domain) -> Result<Discovered, DiscoveryError> {
        self.exchange.look_again();
        self.exchange.discover(domain, self.exchange.deadline()).await
    }

    /// How many requests for a session ended in which way.
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

    /// Scratch stacks that looks through memory have found not wiped: 0, or a bug.
    pub fn residues_found(&self) -> u64 {
        self.residues_found.load(Ordering::Relaxed)
    }

    /// Gives a session its whole time again, as far as the longest lifetime allows. `None` where there is
    /// no such session.
    pub fn renew(&self, id: SessionId) -> Option<Row> {
        let renewed = self.store.renew(id)?;
        tracing::info!("session renewed");
        self.journal.session_renewed(id, renewed.origin.domain.clone());
        Some(renewed)
    }
}

/// Wipes the key of a session that has come to its end, here and then at the other end, and says so.
fn on_expiry(journal: &Arc<Journal>, remote: &Arc<RemoteDeletions>, tunnels: &Arc<Tunnels>) -> OnExpiry {
    let (journal, tunnels) = (Arc::clone(journal), Arc::clone(tunnels));
    // The store's sweeper may outlive the daemon's stop by a moment, and must not keep the data directory in use.
    let remote = Arc::downgrade(remote);
    Box::new(move |id, session, late| {
        let deletion = session.remote_deletion();
        let NewSession { origin, key, .. } = session;
        drop(key);
        tunnels.cut(id, BreakCode::Expired);
        journal.session_expired(id, origin.domain.clone(), late);
        if let Some(remote) = remote.upgrade() {
            remote.submit(deletion);
        }
    })
}

fn store_rules(config: &Reloadable) -> store::Rules {
    store::Rules {
        max: config.max_sessions,
        ttl: config.session_ttl,
        max_lifetime: config.session_max_lifetime,
        idle: config.session_idle,
        usage: config.key_limits,
    }
}

#[cfg(test)]
mod tests;
