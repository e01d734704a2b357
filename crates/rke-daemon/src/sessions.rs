//! What can be done with sessions: open, use, list and end them. The HTTP layer calls this and
//! nothing below it.

mod ending;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rke_host::wallet;
use rke_proto::cipher::{BLOCK_LEN, aes256_ctr, aes256_ctr_stack_use};
use rke_proto::derive::ShareWidth;
use rke_proto::tunnel::{ClientKeyId, NonceMemory};
use rke_secret::fill_random;
use tokio::time::{Instant, timeout_at};

pub use self::ending::{CachedKey, DeleteError};
use crate::Domain;
use crate::blocking::{FewAtOnce, spawn_blocking};
use crate::clock::{Moment, wall_clock};
use crate::config::Config;
use crate::creations::{Creations, Leave};
use crate::discovery::{Discovered, DiscoveryError};
use crate::exchange::{Exchange, ExchangeError, ExchangedKey};
use crate::gate::Gates;
use crate::journal::Journal;
use crate::keystore::{self, Keystore};
use crate::store::{self, KeyError, KeyUse, NewSession, Row, SessionId, Store};
use crate::suspend::SuspendWatch;
use crate::wallet_root::{Outside, WalletRoot};

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
    exchange: Exchange,
    gates: Gates<Arc<ExchangeError>>,
    creations: Creations,
    suspend: SuspendWatch,
    wallet_root: ArcSwapOption<WalletRoot>,
    residues_found: AtomicU64,
    /// How requests for a session ended.
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// The nonces of each key that was used in a tunnel, so that no packet is taken twice.
    seen: Mutex<HashMap<ClientKeyId, Arc<Mutex<NonceMemory>>>>,
    journal: Arc<Journal>,
    config: ArcSwap<Config>,
    started: (Moment, Timestamp),
}

impl Sessions {
    /// No sessions yet.
    pub(crate) fn new(
        config: Config,
        keystore: Arc<Keystore>,
        exchange: Exchange,
        wallet_root: Option<WalletRoot>,
        journal: Arc<Journal>,
    ) -> Self {
        Self {
            store: Store::new(store_rules(&config), Arc::clone(&journal)),
            keystore,
            cache_reads: FewAtOnce::new(CACHE_READS),
            exchange,
            gates: Gates::default(),
            creations: Creations::new(),
            suspend: SuspendWatch::new(),
            wallet_root: ArcSwapOption::new(wallet_root.map(Arc::new)),
            residues_found: AtomicU64::new(0),
            outcomes: Mutex::default(),
            seen: Mutex::default(),
            journal,
            config: ArcSwap::from_pointee(config),
            started: (Moment::now(), wall_clock()),
        }
    }

    /// Goes on with other settings; those of the exchange and of the gate are not its own to change.
    pub(crate) fn change(&self, config: Config, wallet_root: Option<WalletRoot>) {
        self.store.set_rules(store_rules(&config));
        self.keystore.set_limits(keystore::Limits { ttl_hours: config.key_ttl_hours, max: config.max_keys });
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

    /// Where is told what happens.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The nonces that were seen under a key by its name, for as long as the daemon runs.
    pub(crate) fn seen_under(&self, key_id: ClientKeyId) -> Arc<Mutex<NonceMemory>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seen.entry(key_id).or_default())
    }

    /// The settings.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// How long the daemon has been running, and since when.
    pub fn uptime(&self) -> (Duration, Timestamp) {
        let (moment, time) = self.started;
        (Moment::now().since(moment), time)
    }

    /// Finds a domain's Content Server.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn discover(&self, domain: &Domain) -> Result<Discovered, DiscoveryError> {
        self.exchange.discover(domain, self.exchange.deadline()).await
    }

    /// Opens a session with the domain's cached key, or with a new one.
    ///
    /// # Errors
    /// [`ExchangeError`]; then there is no session and nothing is cached.
    pub async fn create(
        &self,
        domain: Domain,
        wallet: PathBuf,
        choice: KeyChoice,
    ) -> Result<Row, Arc<ExchangeError>> {
        let asked = domain.clone();
        let open = async |leave| self.open(domain, wallet, choice, leave).await;
        let created = self.creations.run(open).await;
        let created = created.unwrap_or_else(|| Err(ExchangeError::CalledOff.into()));
        let outcome = match &created {
            Ok(row) if row.from_cache => "from_cache",
            Ok(_) => "opened",
            Err(error) => error.name(),
        };
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
        if let Err(error) = &created {
            self.journal.session_refused(asked, error);
        }
        created
    }

    /// How many requests for a session ended in which way.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn open(
        &self,
        domain: Domain,
        wallet: PathBuf,
        choice: KeyChoice,
        leave: Leave,
    ) -> Result<Row, Arc<ExchangeError>> {
        let wallet = self.confine(wallet)?;
        wallet::check_path(&wallet).map_err(ExchangeError::from)?;
        self.store.check_room().map_err(ExchangeError::from)?;
        let exchanged = self.key_for(&domain, wallet, choice, leave).await?;
        let (ExchangedKey { domain, key, origin, usage }, from_cache) = exchanged;
        let id = SessionId::random().map_err(|error| ExchangeError::Machine(error.into()))?;
        if origin.width == ShareWidth::Narrow {
            tracing::warn!(%domain, "opened a WEAK session: its key comes from 1-byte shares and has 8 bits");
        }
        let raidas = origin.raidas.len();
        let session = NewSession { domain: domain.clone(), origin, from_cache, key, usage };
        let row = self.store.insert(id, session).map_err(ExchangeError::from)?;
        tracing::info!(%domain, raidas, from_cache, "session opened");
        self.journal.session_created(id, domain, &row);
        Ok(row)
    }

    /// Where the wallet really lies, if wallets may lie there. Asked before anything else looks at the
    /// path, so that nobody learns what is elsewhere.
    fn confine(&self, wallet: PathBuf) -> Result<PathBuf, ExchangeError> {
        match self.wallet_root.load().as_ref() {
            Some(root) if wallet.is_absolute() => {
                root.confine(&wallet).map_err(|Outside| ExchangeError::WalletOutside)
            }
            _ => Ok(wallet),
        }
    }

    async fn key_for(
        &self,
        domain: &Domain,
        wallet: PathBuf,
        choice: KeyChoice,
        leave: Leave,
    ) -> Result<(ExchangedKey, bool), Arc<ExchangeError>> {
        if let Some(key) = self.cached(domain, choice).await {
            return Ok((key, true));
        }
        let deadline = self.exchange.deadline();
        let place = self.gates.queue(domain);
        let Ok(mut turn) = timeout_at(deadline, place.wait()).await else {
            return Err(ExchangeError::StillRunning(domain.clone()).into());
        };
        if let Some(key) = self.cached(domain, choice).await {
            return Ok((key, true));
        }
        if let Some(failure) = turn.failure_while_waiting() {
            return Err(failure);
        }
        let started = Instant::now();
        let ended = self.exchange.run(domain, wallet, deadline).await;
        self.journal.exchange_ended(&ended, started.elapsed());
        match ended {
            Ok(key) => Ok((self.cache(key, leave).await?, false)),
            Err(error) => {
                let error = Arc::new(error);
                tracing::warn!(%domain, %error, "no session");
                if error.holds_for_everyone() {
                    turn.leave_failure(Arc::clone(&error));
                }
                Err(error)
            }
        }
    }

    /// The cached key, unless it is used up, or a weak one that is not allowed any more.
    async fn cached(&self, domain: &Domain, choice: KeyChoice) -> Option<ExchangedKey> {
        if choice == KeyChoice::Fresh {
            return None;
        }
        let (keystore, wanted) = (Arc::clone(&self.keystore), domain.clone());
        let key = self.cache_reads.run(move || keystore.get(&wanted)).await??;
        let accepted = self.exchange.accepts(domain, key.origin.width);
        (accepted && !key.usage.is_used_up(self.config().key_limits)).then_some(key)
    }

    /// Caches a key and gives it back. A cache that cannot be written is reported, and the session
    /// is opened all the same.
    async fn cache(&self, key: ExchangedKey, leave: Leave) -> Result<ExchangedKey, ExchangeError> {
        let keystore = Arc::clone(&self.keystore);
        let write = move || {
            if let Err(error) = keystore.put(&key) {
                tracing::warn!(domain = %key.domain, %error, "the new key could not be cached");
            }
            drop(leave);
            key
        };
        spawn_blocking(write).await.map_err(|error| ExchangeError::Machine(std::io::Error::other(error)))
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

    /// Pieces of deleted keys that looks through memory have found: 0, or a bug.
    pub fn residues_found(&self) -> u64 {
        self.residues_found.load(Ordering::Relaxed)
    }

    /// Gives a session its whole time again, as far as the longest lifetime allows. `None` where there is
    /// no such session.
    pub fn renew(&self, id: SessionId) -> Option<Row> {
        let renewed = self.store.renew(id)?;
        tracing::info!("session renewed");
        self.journal.session_renewed(id, renewed.domain.clone());
        Some(renewed)
    }
}

fn store_rules(config: &Config) -> store::Rules {
    store::Rules {
        max: config.max_sessions,
        ttl: config.session_ttl,
        max_lifetime: config.session_max_lifetime,
        idle: config.session_idle,
        usage: config.key_limits,
    }
}
