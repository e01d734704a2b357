//! How sessions are opened: from what the cache keeps, or by an exchange.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rke_host::wallet::{self, Outside, Wallet};
use rke_proto::Form;
use rke_proto::handshake::{Reason, ResumptionId};
use tokio::time::{Instant, sleep, timeout_at};

use super::in_flight::Leave;
use super::open_error::OpenError;
use super::shared::{OwnExchange, Shared, StoreError, prevails};
use super::{KeyChoice, Sessions};
use crate::Domain;
use crate::blocking::spawn_blocking;
use crate::contact::server::ContactError;
use crate::exchange::{ExchangeError, GiveUp, Kept, KeptSecret, OpenedKey, UnclaimedKey};
use crate::keys;
use crate::model::key_origin::KeyOrigin;
use crate::model::session_id::SessionId;
use crate::model::session_key::SessionKey;
use crate::model::viewer::Viewer;
use crate::store::{NewSession, SessionInfo};
use crate::trust::Known;

/// How long to wait for another machine's exchange before looking again.
const OTHERS_EXCHANGE: Duration = Duration::from_millis(50);

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
        match &self.shared {
            Some(shared) => shared.check_room(self.config().max_sessions).await?,
            None => self.store.check_room()?,
        }
        let (opened, from_cache) = self.key_for(wanted, wallet, leave).await?;
        let OpenedKey { key, origin } = opened;
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
        if self.shared.is_some() && origin.form == Form::Live {
            return Err(OpenError::LiveShared(wanted.domain.clone()));
        }
        let session =
            NewSession { origin, page: wanted.viewer.page().cloned(), from_cache, key: key.claim() };
        let (id, row) = self.insert_new(session).await?;
        tracing::info!(domain = %wanted.domain, raidas, from_cache, "session opened");
        self.journal.session_created(id, &row, wanted.viewer.page().cloned());
        Ok(row)
    }

    /// Adds a session. If that fails, its key is wiped at the other end, which has it already.
    async fn insert_new(&self, session: NewSession) -> Result<(SessionId, SessionInfo), OpenError> {
        if let Some(shared) = &self.shared {
            return Ok(shared.create(session).await?);
        }
        let deletion = session.remote_deletion();
        let id = SessionId::random().map_err(|error| ExchangeError::Machine(error.into()))?;
        let row = self.store.insert(id, session).inspect_err(|_| self.remote.submit(deletion))?;
        Ok((id, row))
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
        self.learn_server(domain).await?;
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
        // Among all machines, too.
        let mut own = None;
        while let Some(shared) = self.shared.as_ref().filter(|_| own.is_none()) {
            match shared.begin_exchange(domain).await? {
                Ok(begun) => own = Some(begun),
                Err(left) => {
                    if timeout_at(deadline, sleep(left.min(OTHERS_EXCHANGE))).await.is_err() {
                        return Err(OpenError::StillRunning(domain.clone()));
                    }
                }
            }
            if let Some(key) = self.open_from_cache(domain, &wallet, choice, &mut useless, &leave).await? {
                return Ok((key, true));
            }
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
                self.share_server(&key.origin).await?;
                match (&self.shared, own) {
                    (Some(shared), Some(own)) => self.cache_for_all(shared, own, kept, viewer).await,
                    _ => self.cache(kept, viewer, leave).await?,
                }
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

    /// Makes what is known here about a domain's Content Server agree with what other machines know.
    async fn learn_server(&self, domain: &Domain) -> Result<(), OpenError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let Some(theirs) = shared.known_server(domain).await? else { return Ok(()) };
        self.follow(domain, theirs).await
    }

    async fn follow(&self, domain: &Domain, theirs: Known) -> Result<(), OpenError> {
        let (_, started) = self.started;
        let choose = move |own: Option<&Known>| {
            own.is_none_or(|own| prevails(&theirs, own, started)).then_some(theirs)
        };
        self.exchange.settle_server(domain, choose).await?;
        Ok(())
    }

    /// Tells other machines which Content Server a handshake has proven. If they know another one meanwhile, no session is opened.
    async fn share_server(&self, origin: &KeyOrigin) -> Result<(), OpenError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let Some(own) = self.exchange.settle_server(&origin.domain, |_| None).await? else { return Ok(()) };
        let theirs = shared.share_server(own, self.started.1).await?;
        self.follow(&origin.domain, theirs).await?;
        Ok(self.exchange.check_trust(&origin.domain, origin.cs_id, origin.form).await?)
    }

    /// Opens a session from the cache entry for the coins of this wallet, if the entry is usable. An entry that
    /// proves useless is noted in `useless`, so that it is not tried twice: waiting for a response that never comes
    /// takes time.
    async fn open_from_cache(
        &self,
        domain: &Domain,
        wallet: &Wallet,
        choice: KeyChoice,
        useless: &mut Option<ResumptionId>,
        leave: &Leave,
    ) -> Result<Option<OpenedKey>, OpenError> {
        if choice == KeyChoice::Fresh {
            return Ok(None);
        }
        let cached = match &self.shared {
            Some(shared) => self.cached_for_all(shared, domain, wallet).await?,
            None => self.cached(domain, wallet, leave).await,
        };
        let Some(Kept { origin, secret }) = cached else {
            return Ok(None);
        };
        #[cfg(feature = "made-up-sessions")]
        if crate::model::key_origin::is_made_up(&origin) {
            let key = crate::sessions::made_up::session_key().map_err(std::io::Error::from);
            let key = key.map_err(ExchangeError::from)?;
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
            KeptSecret::Resumption { id, .. } if *useless == Some(id) => Ok(None),
            KeptSecret::Resumption { secret, id, lives_until } => {
                match self.exchange.resume(&origin, (id, &secret)).await {
                    Ok(key) => Ok(Some(key)),
                    Err(error) => {
                        tracing::info!(%domain, server = %origin.server, %error, "cannot resume; making a fresh exchange");
                        *useless = Some(id);
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

    /// The cache entry that all machines share for a domain and the coins of a wallet.
    async fn cached_for_all(
        &self,
        shared: &Shared,
        domain: &Domain,
        wallet: &Wallet,
    ) -> Result<Option<Kept>, StoreError> {
        let kept = shared.cached(domain).await?;
        if kept.is_empty() {
            return Ok(None);
        }
        let wallet = wallet.clone();
        let find = move || {
            let holds = |kept: &Kept| wallet::holds_coins(&wallet, &kept.origin.coins).unwrap_or(false);
            kept.into_iter().find(holds)
        };
        Ok(self.cache_reads.run(find).await.flatten())
    }

    /// Keeps what an exchange has given in the cache that all machines share. A failure is only logged.
    async fn cache_for_all(&self, shared: &Shared, own: OwnExchange, kept: Option<Kept>, viewer: &Viewer) {
        let Some(kept) = kept else { return };
        let config = self.config();
        let limits = keys::Limits { ttl_hours: config.key_ttl_hours, max: config.max_keys };
        if let Err(error) = shared.keep_exchange(&own, &kept, viewer, limits).await {
            tracing::warn!(domain = %kept.origin.domain, %error, "the new key could not be cached");
        }
    }

    async fn give_up(&self, kept: Kept, leave: &Leave) {
        if let Some(shared) = &self.shared {
            // It stays for a while, then, and is refused again.
            let _ = shared.give_up(&kept).await;
            return;
        }
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
