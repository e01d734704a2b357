//! How sessions end by somebody's will, and what is said of it: keys are wiped before anybody is told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rke_proto::cipher::for_each_round_key;
use rke_secret::SecretError;
use rke_secret::residue::{Fingerprint, Look};

use super::Sessions;
use crate::Domain;
use crate::blocking::spawn_blocking;
use crate::clock::{Moment, Reading};
use crate::config::OnSuspend;
use crate::store::{NewSession, SessionId};

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

impl Sessions {
    /// Ends a session: when this returns, the id is dead and the key is wiped. Gives the session's domain.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`], also where the session has expired by `now`.
    pub fn end(&self, id: SessionId, now: Moment) -> Result<Domain, DeleteError> {
        let NewSession { domain, key, .. } = self.store.remove(id, now).ok_or(DeleteError::NotFound)?;
        drop(key);
        tracing::info!("session deleted");
        self.journal.session_deleted(id, domain.clone());
        Ok(domain)
    }

    /// As [`Sessions::end`], and then the cached key goes too if that is wanted.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`] or [`DeleteError::Cache`].
    pub async fn delete(&self, id: SessionId, cached: CachedKey) -> Result<(), DeleteError> {
        let domain = self.end(id, Moment::now())?;
        self.forget(domain, cached).await
    }

    /// As [`Sessions::delete`], then looks for the key in all of the process. It is found by hashes
    /// of the key and of its AES schedule that are made before the wipe.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete_with_receipt(&self, id: SessionId, cached: CachedKey) -> Result<Look, DeleteError> {
        let mut fingerprint = Fingerprint::new().map_err(DeleteError::Look)?;
        let removed = self.store.remove(id, Moment::now());
        let NewSession { domain, key, .. } = removed.ok_or(DeleteError::NotFound)?;
        key.expose(|key| for_each_round_key(key, |piece| fingerprint.add(piece)));
        drop(key);
        self.journal.session_deleted(id, domain.clone());
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
        match cached {
            CachedKey::Keep => Ok(()),
            CachedKey::Forget => self.forget_keys(Some(domain)).await.map(drop).map_err(DeleteError::Cache),
        }
    }

    /// Ends all sessions of a domain, or all there are: when this returns, their ids are dead and their
    /// keys are wiped. Says how many there were.
    ///
    /// # Errors
    /// [`DeleteError::Cache`]; the sessions have ended in any case.
    pub async fn delete_all(&self, domain: Option<Domain>, cached: CachedKey) -> Result<usize, DeleteError> {
        let ended = self.store.remove_all(|of| domain.as_ref().is_none_or(|domain| domain == of));
        let count = ended.len();
        wipe_each(ended, |id, of| self.journal.session_deleted(id, of));
        tracing::info!(count, "sessions deleted");
        if cached == CachedKey::Forget {
            self.forget_keys(domain).await.map_err(DeleteError::Cache)?;
        }
        Ok(count)
    }

    /// Removes the cached key of a domain, or all there are. Says how many there were.
    ///
    /// # Errors
    /// What the system said; the keys are not used any more in any case.
    pub async fn forget_keys(&self, domain: Option<Domain>) -> io::Result<usize> {
        let (keystore, whose) = (Arc::clone(&self.keystore), domain.clone());
        let forget = spawn_blocking(move || match whose {
            Some(domain) => keystore.forget(&domain),
            None => keystore.forget_all(),
        });
        let count = forget.await.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        tracing::info!(count, "cached keys removed");
        self.journal.keys_forgotten(domain, count);
        Ok(count)
    }

    /// Drops every session and every cached key, and calls off the exchanges that run. When this returns
    /// no key is left.
    ///
    /// # Errors
    /// What the system said where a file could not be removed; its key is not used any more.
    pub async fn drop_everything(&self) -> io::Result<()> {
        let drop_sessions =
            || wipe_each(self.store.remove_all(|_| true), |id, of| self.journal.session_dropped(id, of));
        // First what there is now: calling off may wait for a file that is being written.
        drop_sessions();
        let _standstill = self.creations.call_off().await;
        drop_sessions();
        self.forget_keys(None).await.map(drop)
    }

    /// Whether the machine has slept and [`Sessions::drop_after_sleep`] has something to do about it.
    pub(crate) fn has_slept(&self, now: &Reading) -> bool {
        self.suspend.has_slept(now).is_some()
    }

    /// Drops everything if the machine has slept and the settings want that. Asked before each request.
    pub(crate) async fn drop_after_sleep(&self, now: &Reading) {
        let Some(slept) = self.suspend.has_slept(now) else { return };
        if self.config().on_suspend == OnSuspend::Keep {
            return self.suspend.settle(slept);
        }
        tracing::warn!("this machine has slept: all sessions and cached keys are dropped");
        if let Err(error) = self.drop_everything().await {
            tracing::error!(%error, "a cached key could not be removed");
        }
        self.suspend.settle(slept);
    }
}

/// Wipes the keys of sessions, all of them before any is told of.
fn wipe_each(sessions: Vec<(SessionId, NewSession)>, tell: impl Fn(SessionId, Domain)) {
    let wiped: Vec<_> = sessions.into_iter().map(|(id, session)| (id, session.domain)).collect();
    wiped.into_iter().for_each(|(id, domain)| tell(id, domain));
}
