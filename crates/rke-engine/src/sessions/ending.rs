//! How sessions end on request, and how that is reported: keys are wiped before anything is reported.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rke_proto::handshake::{BreakCode, ID_LEN};
use rke_secret::SecretError;
use rke_secret::memory_scan::{Fingerprint, MemoryScan};
use tokio::time::Instant;

use super::Sessions;
use super::ended::Ended;
use super::in_flight::Standstill;
use super::search::fingerprint;
use super::shared::{Holders, StoreError};
use crate::Domain;
use crate::activity::{How, Number, Subject};
use crate::blocking::spawn_blocking;
use crate::keys::Removed;
use crate::model::clock::{Moment, Reading};
use crate::model::search::Search;
use crate::model::session_id::SessionId;
use crate::model::viewer::Viewer;
use crate::remote_deletions::Remote;
use crate::settings::OnSuspend;
use crate::store::NewSession;

/// What happens to a domain's cached key when a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedKey {
    /// It stays.
    Keep,
    /// It is removed too.
    Forget,
}

/// Why a session could not be deleted as requested.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// No such session exists.
    #[error("Session not found")]
    NotFound,
    /// The store that other machines share has not confirmed it. It goes on in the background.
    #[error(transparent)]
    Store(StoreError),
    /// The session is deleted and its key wiped, but the cached key is not removed.
    #[error("The session is deleted, but its cached key could not be removed: {0}")]
    Cache(io::Error),
    /// The session was deleted by an earlier request, whose response was lost and which alone knew the domain. Its cached key was not
    /// looked for.
    #[error(
        "The session is deleted, but its cached key may still be there: an earlier request has deleted the session, and its domain is no \
         longer known; `rke keys forget DOMAIN` removes the key"
    )]
    DomainGone,
    /// The session is deleted and its key wiped, but memory was not scanned.
    #[error("The session is deleted, but memory could not be scanned: {0}")]
    MemoryScan(SecretError),
}

impl From<StoreError> for DeleteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            error => Self::Store(error),
        }
    }
}

impl Sessions {
    /// Ends a session: when this returns, the id is dead and the key is wiped, on all machines. The deletion at the other end has
    /// begun.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`] or [`DeleteError::Store`].
    pub async fn finish(&self, id: SessionId) -> Result<Ended, DeleteError> {
        match &self.shared {
            None => self.end(id, Moment::now()),
            Some(shared) => Ok(shared.delete(id, Holders::Wipe).await?.ended),
        }
    }

    /// Ends a session of this daemon alone, as [`Sessions::finish`] does, without waiting.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`], also if the session has expired by `now`.
    pub fn end(&self, id: SessionId, now: Moment) -> Result<Ended, DeleteError> {
        let session = self.store.remove(id, now).ok_or(DeleteError::NotFound)?;
        let (ended, _) = self.wipe(id, session);
        tracing::info!("session deleted");
        Ok(ended)
    }

    /// Wipes the key of a deleted session, here and then at the other end.
    fn wipe(&self, id: SessionId, session: NewSession) -> (Ended, Number) {
        let deletion = session.remote_deletion();
        let NewSession { origin, key, page, .. } = session;
        let key_id = key.key_id();
        drop(key);
        self.tunnels.cut(id, BreakCode::Deleted);
        let subject = Subject { session: id, domain: origin.domain.clone(), page };
        // Recorded before the other end is asked, because its response is noted in this event.
        let number = self.journal.session_ended(subject, How::Request, deletion.as_ref().map(|of| of.id));
        self.remote.submit(deletion);
        (Ended { domain: Some(origin.domain.clone()), key_id }, number)
    }

    /// The state of a key at the other end, after waiting at most `wait`.
    pub async fn remote_end(&self, ended: &Ended, wait: Duration) -> Remote {
        match ended.key_id {
            Some(key_id) => self.remote.settled(key_id.0, wait).await,
            None if ended.domain.is_none() => Remote::Forgotten,
            None => Remote::Unsupported,
        }
    }

    /// Like [`Sessions::finish`], and then also removes the cached key if `cached` says so and the viewer may see the
    /// key.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(
        &self,
        id: SessionId,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<Ended, DeleteError> {
        let ended = self.finish(id).await?;
        self.forget(ended.domain.clone(), cached, viewer).await?;
        Ok(ended)
    }

    /// Like [`Sessions::delete`], and then searches all memory of the process for the keys, and that of each machine that had a copy.
    /// They are found by hashes of each key and of its AES schedule, which are made before the wipe. If one is found outside secret
    /// memory, the process reports it and aborts.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete_with_receipt(
        &self,
        id: SessionId,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<(Ended, Search), DeleteError> {
        let session = match &self.shared {
            None => self.store.remove(id, Moment::now()).ok_or(DeleteError::NotFound)?,
            Some(shared) => shared.take(id).await?,
        };
        // The key is wiped in any case.
        let wanted = fingerprint(&session.key);
        let Some(shared) = &self.shared else {
            let (ended, number) = self.wipe(id, session);
            let scan = self.forget_and_search(&ended, cached, viewer, wanted).await?;
            let search = Search::here(scan);
            self.journal.memory_searched(number, search);
            return Ok((ended, search));
        };
        drop(session);
        let end = shared.delete(id, Holders::Search).await?;
        let search = end.search(self.forget_and_search(&end.ended, cached, viewer, wanted).await?);
        if let Some(number) = end.number {
            self.journal.memory_searched(number, search);
        }
        Ok((end.ended, search))
    }

    async fn forget_and_search(
        &self,
        ended: &Ended,
        cached: CachedKey,
        viewer: &Viewer,
        wanted: Result<Fingerprint, SecretError>,
    ) -> Result<MemoryScan, DeleteError> {
        let wanted = wanted.map_err(DeleteError::MemoryScan)?;
        self.forget(ended.domain.clone(), cached, viewer).await?;
        self.residues.search(wanted).await.map_err(DeleteError::MemoryScan)
    }

    pub(super) async fn forget(
        &self,
        domain: Option<Domain>,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<(), DeleteError> {
        match (cached, domain) {
            (CachedKey::Keep, _) => Ok(()),
            (CachedKey::Forget, None) => Err(DeleteError::DomainGone),
            (CachedKey::Forget, domain) => self.forget_keys(domain, viewer).await.map(drop),
        }
    }

    /// Ends all sessions that the viewer may see, or those of one domain: when this returns, their ids are dead and
    /// their keys are wiped. Returns how many sessions ended.
    ///
    /// # Errors
    /// [`DeleteError::Cache`]; the sessions have ended in any case. [`DeleteError::Store`]; some may have ended and others not.
    pub async fn delete_all(
        &self,
        domain: Option<Domain>,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<usize, DeleteError> {
        let count = match &self.shared {
            Some(shared) => self.delete_shared(shared, domain.as_ref(), viewer).await?,
            None => self.delete_own(domain.as_ref(), viewer),
        };
        tracing::info!(count, "sessions deleted");
        if cached == CachedKey::Forget {
            self.forget_keys(domain, viewer).await?;
        }
        Ok(count)
    }

    fn delete_own(&self, domain: Option<&Domain>, viewer: &Viewer) -> usize {
        let is_of_domain = |of: &Domain| domain.is_none_or(|domain| domain == of);
        let ended = self
            .store
            .remove_all(|session| viewer.sees(session.page.as_ref()) && is_of_domain(&session.origin.domain));
        let count = ended.len();
        self.wipe_each(ended, |subject, deletion| {
            self.journal.session_ended(subject, How::RequestForAll, deletion);
        });
        count
    }

    /// Removes the cached keys that the viewer may see, or those of one domain. Returns how many were removed.
    ///
    /// # Errors
    /// [`DeleteError::Cache`]; the keys are no longer used in any case. [`DeleteError::Store`]; some may be removed and others not.
    pub async fn forget_keys(&self, domain: Option<Domain>, viewer: &Viewer) -> Result<usize, DeleteError> {
        let shared = match &self.shared {
            Some(shared) => shared.forget_cached(domain.as_ref(), viewer).await?,
            None => 0,
        };
        let (keystore, remote) = (Arc::clone(&self.keystore), Arc::clone(&self.remote));
        let (whose, viewer) = (domain.clone(), viewer.clone());
        // The closure does all the work, so that it completes even if the client hangs up and nobody waits for it.
        let forget = spawn_blocking(move || {
            let Removed { count, remote: deletions, failed } = keystore.forget(whose.as_ref(), &viewer);
            remote.submit(deletions);
            (count, failed)
        });
        let (count, failed) = forget.await.map_err(|error| DeleteError::Cache(io::Error::other(error)))?;
        let count = count + shared;
        tracing::info!(count, "cached keys removed");
        self.journal.keys_forgotten(domain, count);
        failed.map_or(Ok(count), |failed| Err(DeleteError::Cache(failed)))
    }

    /// Drops every session and every cached key, of all machines, and calls off the running exchanges. When this returns, no key is
    /// left.
    ///
    /// # Errors
    /// [`DeleteError::Cache`] if a file could not be removed; its key is no longer used. [`DeleteError::Store`] if sessions of other
    /// machines may live on.
    pub async fn drop_everything(&self) -> Result<(), DeleteError> {
        // The existing sessions first: calling off may wait for a file that is being written.
        self.drop_sessions().await?;
        let standstill = self.creations.call_off().await;
        self.drop_the_rest(&standstill).await
    }

    /// Whether the machine has slept and [`Sessions::drop_after_sleep`] has something to do about it.
    pub fn has_slept(&self, now: &Reading) -> bool {
        self.suspend.has_slept(now).is_some()
    }

    /// Drops everything if the machine has slept and the settings require it. Called before each request.
    pub async fn drop_after_sleep(&self, now: &Reading) {
        let Some(slept) = self.suspend.has_slept(now) else { return };
        if self.config().on_suspend == OnSuspend::Keep {
            return self.suspend.settle(slept);
        }
        if let Some(shared) = &self.shared {
            tracing::warn!("this machine has slept: its copies of keys are wiped");
            shared.wipe_copies();
            let _standstill = self.creations.call_off().await;
            shared.wipe_copies();
            return self.suspend.settle(slept);
        }
        tracing::warn!("this machine has slept: all sessions and cached keys are dropped");
        self.drop_own();
        let standstill = self.creations.call_off().await;
        // Several requests may notice the sleep at once. After the first has dropped everything, newly opened
        // sessions stay.
        if !self.has_slept(now) {
            return;
        }
        if let Err(error) = self.drop_the_rest(&standstill).await {
            tracing::error!(%error, "a cached key could not be removed");
        }
        self.suspend.settle(slept);
    }

    /// Ends the waits of clients that watch exchanges or wait for other ends, because the daemon stops.
    pub fn close(&self) {
        self.exchange.progress().close();
        self.remote.close();
    }

    /// Breaks off all tunnels because the daemon stops, and waits until the last one is gone.
    pub async fn stop_tunnels(&self) {
        self.tunnels.stop().await;
    }

    /// Waits until each remote deletion has been requested once, at most until `deadline`, and stops the deletions.
    /// Unfinished ones stay in the file.
    pub async fn stop_remote_deletions(&self, deadline: Instant) {
        self.remote.stop(deadline).await;
    }

    async fn drop_sessions(&self) -> Result<(), StoreError> {
        match &self.shared {
            Some(shared) => shared.delete_many(None).await.map(drop),
            None => {
                self.drop_own();
                Ok(())
            }
        }
    }

    fn drop_own(&self) {
        let report = |subject, deletion| {
            self.journal.session_ended(subject, How::Drop, deletion);
        };
        self.wipe_each(self.store.remove_all(|_| true), report);
    }

    /// Drops the sessions that were opened while creations were being called off, and the cached keys.
    async fn drop_the_rest(&self, _standstill: &Standstill) -> Result<(), DeleteError> {
        self.drop_sessions().await?;
        self.exchange.look_again();
        self.forget_keys(None, &Viewer::Program).await.map(drop)
    }

    /// Ends all sessions because the daemon stops, unless other machines share them: those live on. Returns how many there were.
    pub async fn stop(&self) -> usize {
        if let Some(shared) = &self.shared {
            shared.stop().await;
            return 0;
        }
        let ended = self.store.remove_all(|_| true);
        let count = ended.len();
        self.wipe_each(ended, |_, _| ());
        count
    }

    /// Wipes the keys of sessions, all of them before any is reported, and then at the other ends.
    fn wipe_each(
        &self,
        sessions: Vec<(SessionId, NewSession)>,
        report: impl Fn(Subject, Option<[u8; ID_LEN]>),
    ) {
        let wipe = |(id, session): (SessionId, NewSession)| {
            let deletion = session.remote_deletion();
            let NewSession { origin, page, .. } = session;
            (Subject { session: id, domain: origin.domain.clone(), page }, deletion)
        };
        let wiped: Vec<_> = sessions.into_iter().map(wipe).collect();
        let deletions = wiped.into_iter().filter_map(|(subject, deletion)| {
            self.tunnels.cut(subject.session, BreakCode::Deleted);
            report(subject, deletion.as_ref().map(|of| of.id));
            deletion
        });
        self.remote.submit(deletions);
    }
}
