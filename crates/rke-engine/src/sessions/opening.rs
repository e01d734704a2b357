//! How sessions are opened: from what the cache keeps, or by an exchange.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use rke_host::wallet::{self, Outside, Wallet};
use rke_proto::Form;
use rke_proto::handshake::Reason;
use tokio::time::{Instant, timeout_at};

use super::in_flight::Leave;
use super::open_error::OpenError;
use super::{KeyChoice, Sessions};
use crate::Domain;
use crate::blocking::spawn_blocking;
use crate::contact::server::ContactError;
use crate::exchange::{ExchangeError, GiveUp, Kept, KeptSecret, OpenedKey, UnclaimedKey};
use crate::model::key_origin::KeyOrigin;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;
use crate::model::viewer::Viewer;
use crate::store::{NewSession, SessionInfo};

/// A request for a session.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    domain: &'a Domain,
    choice: KeyChoice,
    viewer: &'a Viewer,
}

impl Sessions {
    /// Opens a session with the domain's cached key, or with a new one.
    ///
    /// # Errors
    /// [`OpenError`]; then there is no session. What an exchange has put into the cache stays there.
    pub async fn create(
        &self,
        domain: Domain,
        wallet: PathBuf,
        choice: KeyChoice,
        viewer: &Viewer,
    ) -> Result<SessionInfo, OpenError> {
        let open = async |leave| self.open(Wanted { domain: &domain, choice, viewer }, wallet, leave).await;
        let created = self.creations.run(open).await;
        let created = created.unwrap_or(Err(OpenError::CalledOff));
        let outcome = match &created {
            Ok(row) if row.from_cache => "from_cache",
            Ok(_) => "opened",
            Err(error) => error.name(),
        };
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
        if let Err(error) = &created {
            self.journal.session_refused(domain, viewer.page().cloned(), error.name());
        }
        created
    }

    async fn open(
        &self,
        wanted: Wanted<'_>,
        wallet: PathBuf,
        leave: Leave,
    ) -> Result<SessionInfo, OpenError> {
        let wallet = self.confine(wallet)?;
        wallet.check().map_err(ExchangeError::from)?;
        self.store.check_room()?;
        let (opened, from_cache) = self.key_for(wanted, wallet, leave).await?;
        let OpenedKey { key, origin } = opened;
        let id = SessionId::random().map_err(|error| ExchangeError::Machine(error.into()))?;
        match origin.form {
            Form::Live => tracing::warn!(
                domain = %wanted.domain, "opened a WEAK session: its key comes from 1-byte shares and has 8 bits"
            ),
            Form::Handshake3Narrow => tracing::warn!(
                domain = %wanted.domain, "opened a WEAKLY AUTHENTICATED session: only 1-byte shares authenticate its ends"
            ),
            Form::Wide => (),
        }
        let raidas = origin.raidas.len();
        let session =
            NewSession { origin, page: wanted.viewer.page().cloned(), from_cache, key: key.claim() };
        let deletion = session.remote_deletion();
        let row = self.store.insert(id, session).inspect_err(|_| {
            // The other end has its key already.
            self.remote.submit(deletion);
        })?;
        tracing::info!(domain = %wanted.domain, raidas, from_cache, "session opened");
        self.journal.session_created(id, &row, wanted.viewer.page().cloned());
        Ok(row)
    }

    /// The wallet at this path, if wallets may be there.
    fn confine(&self, path: PathBuf) -> Result<Wallet, ExchangeError> {
        match self.wallet_root.load().as_ref() {
            Some(root) if path.is_absolute() => {
                root.wallet(&path).map_err(|Outside| ExchangeError::WalletOutside)
            }
            _ => Ok(Wallet::at(path)),
        }
    }

    async fn key_for(
        &self,
        wanted: Wanted<'_>,
        wallet: Wallet,
        leave: Leave,
    ) -> Result<(OpenedKey, bool), OpenError> {
        let Wanted { domain, choice, viewer } = wanted;
        let mut useless = None;
        if let Some(key) = self.open_from_cache(domain, &wallet, choice, &mut useless, &leave).await? {
            return Ok((key, true));
        }
        let deadline = self.exchange.deadline();
        let place = self.domain_queues.queue(domain);
        let Ok(mut turn) = timeout_at(deadline, place.wait()).await else {
            return Err(OpenError::StillRunning(domain.clone()));
        };
        if let Some(key) = self.open_from_cache(domain, &wallet, choice, &mut useless, &leave).await? {
            return Ok((key, true));
        }
        if let Some(failure) = turn.failure_while_waiting() {
            return Err(OpenError::Exchange(failure));
        }
        if choice == KeyChoice::Fresh || useless.is_some() {
            // The request is for a new key, or what was known about the Content Server has proved wrong.
            self.exchange.look_again();
        }
        let started = Instant::now();
        let ended = self.exchange.run(domain, wallet, viewer.page(), deadline).await;
        let outcome = ended.as_ref().map_or_else(ExchangeError::name, |_| "done");
        self.journal.exchange_ended(outcome, started.elapsed());
        match ended {
            Ok((key, kept)) => {
                self.cache(kept, viewer, leave).await?;
                Ok((key, false))
            }
            Err(error) => {
                let error = Arc::new(error);
                tracing::warn!(%domain, %error, "no session was opened");
                if error.holds_for_everyone() {
                    turn.leave_failure(Arc::clone(&error));
                }
                Err(OpenError::Exchange(error))
            }
        }
    }

    /// Opens a session from the cache entry for the coins of this wallet, if the entry is usable. An entry that
    /// proves useless is noted in `useless`, so that it is not tried twice: waiting for a response that never comes
    /// takes time.
    async fn open_from_cache(
        &self,
        domain: &Domain,
        wallet: &Wallet,
        choice: KeyChoice,
        useless: &mut Option<Arc<KeyOrigin>>,
        leave: &Leave,
    ) -> Result<Option<OpenedKey>, ExchangeError> {
        if choice == KeyChoice::Fresh {
            return Ok(None);
        }
        let Some(Kept { origin, secret }) = self.cached(domain, wallet, leave).await else {
            return Ok(None);
        };
        if useless.as_ref().is_some_and(|useless| Arc::ptr_eq(useless, &origin)) {
            return Ok(None);
        }
        #[cfg(feature = "made-up-sessions")]
        if crate::model::key_origin::is_made_up(&origin) {
            let key = crate::sessions::made_up::session_key().map_err(std::io::Error::from)?;
            let key = UnclaimedKey::new(key, origin.server.clone(), GiveUp::default());
            return Ok(Some(OpenedKey { origin, key }));
        }
        self.exchange.check_trust(domain, origin.cs_id, origin.form).await?;
        // The exchange that follows reports the reason.
        if !self.exchange.accepts(domain, origin.form) {
            return Ok(None);
        }
        match secret {
            KeptSecret::Narrow { key, usage } => {
                let is_good = !usage.is_used_up(self.config().key_limits);
                let key = SessionKey::Narrow { key, usage };
                let key = UnclaimedKey::new(key, origin.server.clone(), GiveUp::default());
                Ok(is_good.then_some(OpenedKey { origin, key }))
            }
            KeptSecret::Resumption { secret, id, lives_until } => {
                match self.exchange.resume(&origin, (id, &secret)).await {
                    Ok(key) => Ok(Some(key)),
                    Err(error) => {
                        tracing::info!(%domain, server = %origin.server, %error, "cannot resume; making a fresh exchange");
                        *useless = Some(Arc::clone(&origin));
                        if matches!(error, ContactError::Refused(reason) if reason != Reason::Busy) {
                            let secret = KeptSecret::Resumption { secret, id, lives_until };
                            self.give_up(Kept { origin, secret }, leave).await;
                        }
                        Ok(None)
                    }
                }
            }
        }
    }

    /// The cache entry for a domain and the coins of a wallet. Only the names of the wallet's coins are read.
    async fn cached(&self, domain: &Domain, wallet: &Wallet, leave: &Leave) -> Option<Kept> {
        let (keystore, wanted, wallet) = (Arc::clone(&self.keystore), domain.clone(), wallet.clone());
        let leave = Arc::clone(leave);
        // A wallet that cannot be read holds no coins; the exchange that follows reports what is wrong with it.
        let holds = move |coins: &[_]| wallet::holds_coins(&wallet, coins).unwrap_or(false);
        let read = move || Held { kept: keystore.get(&wanted, holds), _leave: leave };
        self.cache_reads.run(read).await?.kept
    }

    async fn give_up(&self, kept: Kept, leave: &Leave) {
        let (keystore, leave) = (Arc::clone(&self.keystore), Arc::clone(leave));
        let give_up = move || {
            keystore.give_up(&kept);
            // Dropped before the leave, as in [`Held`].
            drop(kept);
            drop(leave);
        };
        let _ = spawn_blocking(give_up).await;
    }

    /// Caches what is kept of an exchange. A failed write is only logged, and the session is opened anyway.
    async fn cache(&self, kept: Option<Kept>, viewer: &Viewer, leave: Leave) -> Result<(), ExchangeError> {
        let (keystore, viewer) = (Arc::clone(&self.keystore), viewer.clone());
        let write = move || {
            if let Some(kept) = kept
                && let Err(error) = keystore.put(&kept, &viewer)
            {
                tracing::warn!(domain = %kept.origin.domain, %error, "the new key could not be cached");
            }
            drop(leave);
        };
        spawn_blocking(write).await.map_err(|error| ExchangeError::Machine(std::io::Error::other(error)))
    }
}

/// What another thread has read from the cache. The secret is dropped before the leave, so calling off creations
/// waits for it, even if nothing waits for that thread any longer.
struct Held {
    kept: Option<Kept>,
    _leave: Leave,
}
