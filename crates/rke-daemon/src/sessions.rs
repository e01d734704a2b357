//! What can be done with sessions: open, use, list and end them. The HTTP layer calls this and
//! nothing below it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rke_host::wallet;
use rke_proto::cipher::{BLOCK_LEN, aes256_ctr, for_each_round_key};
use rke_proto::derive::ShareWidth;
use rke_proto::tunnel::{ClientKeyId, NonceMemory};
use rke_secret::SecretError;
use rke_secret::residue::{Fingerprint, Look};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::Domain;
use crate::config::Config;
use crate::discovery::{Discovered, DiscoveryError};
use crate::exchange::{Exchange, ExchangeError, ExchangedKey};
use crate::gate::Gates;
use crate::keystore::Keystore;
use crate::store::{KeyUse, NewSession, Row, SessionId, Store};
use crate::wallet_root::{Outside, WalletRoot};

/// Whether a cached key will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// The domain's cached key, where there is a valid one.
    Cached,
    /// A new key in any case.
    Fresh,
}

/// What becomes of a domain's cached key when a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedKey {
    /// It stays.
    Keep,
    /// It goes too.
    Forget,
}

/// Why a session could not be deleted as asked.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such session.
    #[error("Session not found")]
    NotFound,
    /// The session is deleted and its key wiped, but not the cached key.
    #[error("The session is deleted, but its cached key could not be removed: {0}")]
    Cache(io::Error),
    /// The session is deleted and its key wiped, but there is no receipt.
    #[error("The session is deleted, but memory could not be looked through: {0}")]
    Look(SecretError),
}

/// The nonce of one encryption: AES-CTR's first counter block.
pub type Nonce = [u8; BLOCK_LEN];

/// The sessions of a daemon, and all that opening one takes.
pub struct Sessions {
    store: Store,
    keystore: Arc<Keystore>,
    exchange: Exchange,
    gates: Gates<Arc<ExchangeError>>,
    wallet_root: Option<WalletRoot>,
    residues_found: AtomicU64,
    /// How requests for a session ended.
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// The nonces of each key that was used in a tunnel, so that no packet is taken twice.
    seen: Mutex<HashMap<ClientKeyId, Arc<Mutex<NonceMemory>>>>,
    config: Config,
}

impl Sessions {
    /// No sessions yet.
    pub(crate) fn new(
        config: Config,
        keystore: Arc<Keystore>,
        exchange: Exchange,
        wallet_root: Option<WalletRoot>,
    ) -> Self {
        let store = Store::new(config.max_sessions, config.session_ttl);
        let (gates, residues_found) = (Gates::default(), AtomicU64::new(0));
        let (outcomes, seen) = (Mutex::default(), Mutex::default());
        Self { store, keystore, exchange, gates, wallet_root, residues_found, outcomes, seen, config }
    }

    /// The store, for what only reads.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The key cache, for what only reads.
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// How keys are exchanged, and what is known of the RAIDAs.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The nonces that were seen under a key by its name, for as long as the daemon runs.
    pub(crate) fn seen_under(&self, key_id: ClientKeyId) -> Arc<Mutex<NonceMemory>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seen.entry(key_id).or_default())
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
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
        let created = self.open(domain, wallet, choice).await;
        let outcome = match &created {
            Ok(row) if row.from_cache => "from_cache",
            Ok(_) => "opened",
            Err(error) => error.name(),
        };
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
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
    ) -> Result<Row, Arc<ExchangeError>> {
        let wallet = self.confine(wallet)?;
        wallet::check_path(&wallet).map_err(ExchangeError::from)?;
        self.store.check_room().map_err(ExchangeError::from)?;
        let (ExchangedKey { key, origin }, from_cache) = self.key_for(&domain, wallet, choice).await?;
        let id = SessionId::random().map_err(|error| ExchangeError::Machine(error.into()))?;
        if origin.width == ShareWidth::Narrow {
            tracing::warn!(%domain, "opened a WEAK session: its key comes from 1-byte shares and has 8 bits");
        }
        let raidas = origin.raidas.len();
        let session = NewSession { domain: domain.clone(), origin, from_cache, key };
        let row = self.store.insert(id, session).map_err(ExchangeError::from)?;
        tracing::info!(%domain, raidas, from_cache, "session opened");
        Ok(row)
    }

    /// Where the wallet really lies, if wallets may lie there. Asked before anything else looks at the
    /// path, so that nobody learns what is elsewhere.
    fn confine(&self, wallet: PathBuf) -> Result<PathBuf, ExchangeError> {
        match &self.wallet_root {
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
        match self.exchange.run(domain, wallet, deadline).await {
            Ok(key) => Ok((self.cache(domain, key).await?, false)),
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

    /// The cached key, unless it is a weak one that is not allowed any more.
    async fn cached(&self, domain: &Domain, choice: KeyChoice) -> Option<ExchangedKey> {
        if choice == KeyChoice::Fresh {
            return None;
        }
        let (keystore, wanted) = (Arc::clone(&self.keystore), domain.clone());
        let key = spawn_blocking(move || keystore.get(&wanted)).await.ok()??;
        self.exchange.accepts(domain, key.origin.width).then_some(key)
    }

    /// Caches a key and gives it back. A cache that cannot be written is reported, and the session
    /// is opened all the same.
    async fn cache(&self, domain: &Domain, key: ExchangedKey) -> Result<ExchangedKey, ExchangeError> {
        let (keystore, domain) = (Arc::clone(&self.keystore), domain.clone());
        let write = move || {
            if let Err(error) = keystore.put(&domain, &key) {
                tracing::warn!(%domain, %error, "the new key could not be cached");
            }
            key
        };
        spawn_blocking(write).await.map_err(|error| ExchangeError::Machine(std::io::Error::other(error)))
    }

    /// Encrypts in place under a fresh random nonce. `None` where there is no such session.
    ///
    /// # Errors
    /// When the system's generator fails; nothing is encrypted then.
    pub fn encrypt(&self, id: SessionId, data: &mut [u8]) -> Result<Option<Nonce>, getrandom::Error> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce)?;
        Ok(self.store.with_key(id, KeyUse::Encrypt, |key| {
            aes256_ctr(key, &nonce, data);
            nonce
        }))
    }

    /// Decrypts in place. `None` where there is no such session.
    pub fn decrypt(&self, id: SessionId, nonce: &Nonce, data: &mut [u8]) -> Option<()> {
        self.store.with_key(id, KeyUse::Decrypt, |key| aes256_ctr(key, nonce, data))
    }

    /// Pieces of deleted keys that looks through memory have found: 0, or a bug.
    pub fn residues_found(&self) -> u64 {
        self.residues_found.load(Ordering::Relaxed)
    }

    /// Ends a session: when this returns, the id is dead and the key is wiped.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`] or [`DeleteError::Cache`].
    pub async fn delete(&self, id: SessionId, cached: CachedKey) -> Result<(), DeleteError> {
        let NewSession { domain, key, .. } = self.store.remove(id).ok_or(DeleteError::NotFound)?;
        drop(key);
        tracing::info!("session deleted");
        self.forget(domain, cached).await
    }

    /// As [`Sessions::delete`], then looks for the key in all of the process. It is found by hashes
    /// of the key and of its AES schedule that are made before the wipe.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete_with_receipt(&self, id: SessionId, cached: CachedKey) -> Result<Look, DeleteError> {
        let mut fingerprint = Fingerprint::new().map_err(DeleteError::Look)?;
        let NewSession { domain, key, .. } = self.store.remove(id).ok_or(DeleteError::NotFound)?;
        key.expose(|key| for_each_round_key(key, |piece| fingerprint.add(piece)));
        drop(key);
        self.forget(domain, cached).await?;
        let look = spawn_blocking(move || fingerprint.look()).await.unwrap_or_else(|error| {
            Err(SecretError::System { action: "look through memory", source: io::Error::other(error) })
        });
        let look = look.map_err(DeleteError::Look)?;
        self.report(&look);
        Ok(look)
    }

    fn report(&self, look: &Look) {
        let (hits, bytes) = (look.hits, look.scanned_bytes);
        if hits > 0 {
            self.residues_found.fetch_add(hits, Ordering::Relaxed);
            tracing::error!(
                hits,
                wiped = look.wiped,
                "a deleted key was still in memory: this is a bug in rke"
            );
        } else {
            tracing::info!(bytes, threads = look.threads, "session deleted, and nothing of its key is left");
        }
        if look.threads_missed > 0 {
            tracing::warn!(
                threads = look.threads_missed,
                "did not stand still, so their registers were not seen"
            );
        }
    }

    async fn forget(&self, domain: Domain, cached: CachedKey) -> Result<(), DeleteError> {
        if cached == CachedKey::Keep {
            return Ok(());
        }
        let keystore = Arc::clone(&self.keystore);
        let forget = spawn_blocking(move || keystore.forget(&domain));
        forget.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(DeleteError::Cache)
    }
}
