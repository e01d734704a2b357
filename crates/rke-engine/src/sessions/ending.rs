//! How sessions end on request, and what is reported of it: keys are wiped before anything is reported.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rke_proto::handshake::{BreakCode, KeyId};
use rke_secret::SecretError;
use rke_secret::residue::{Fingerprint, Look};

use super::Sessions;
use crate::Domain;
use crate::blocking::spawn_blocking;
use crate::keys::Removed;
use crate::model::clock::{Moment, Reading};
use crate::model::session_id::SessionId;
use crate::model::viewer::Viewer;
use crate::remote_deletions::Remote;
use crate::settings::OnSuspend;
use crate::store::NewSession;

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its domain.
    pub domain: Domain,
    /// The name of its key at the other end. `None` where it was a narrow one.
    pub key_id: Option<KeyId>,
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

impl Sessions {
    /// Ends a session: when this returns, the id is dead and the key is wiped. Wiping it at the other end begins.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`], also where the session has expired by `now`.
    pub fn end(&self, id: SessionId, now: Moment) -> Result<Ended, DeleteError> {
        let session = self.store.remove(id, now).ok_or(DeleteError::NotFound)?;
        let ended = self.wipe(id, session);
        tracing::info!("session deleted");
        Ok(ended)
    }

    /// Wipes the key of a session that was deleted, here and then at the other end.
    fn wipe(&self, id: SessionId, session: NewSession) -> Ended {
        let deletion = session.remote_deletion();
        let NewSession { origin, key, .. } = session;
        let key_id = key.key_id();
        drop(key);
        self.tunnels.cut(id, BreakCode::Deleted);
        self.journal.session_deleted(id, origin.domain.clone());
        self.remote.submit(deletion);
        Ended { domain: origin.domain.clone(), key_id }
    }

    /// What has become of a key at the other end, after at most this wait.
    pub async fn remote_end(&self, ended: &Ended, wait: Duration) -> Remote {
        match ended.key_id {
            Some(key_id) => self.remote.settled(key_id.0, wait).await,
            None => Remote::Unsupported,
        }
    }

    /// As [`Sessions::end`], and then the cached key goes too if that is wanted and the viewer may see it.
    ///
    /// # Errors
    /// [`DeleteError::NotFound`] or [`DeleteError::Cache`].
    pub async fn delete(
        &self,
        id: SessionId,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<Ended, DeleteError> {
        let ended = self.end(id, Moment::now())?;
        self.forget(ended.domain.clone(), cached, viewer).await?;
        Ok(ended)
    }

    /// As [`Sessions::delete`], then looks for the keys in all of the process. They are found by hashes
    /// of each key and of its AES schedule that are made before the wipe. Where one is found outside of secret
    /// memory, the process says so and ends.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete_with_receipt(
        &self,
        id: SessionId,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<(Ended, Look), DeleteError> {
        let mut fingerprint = Fingerprint::new().map_err(DeleteError::Look)?;
        let session = self.store.remove(id, Moment::now()).ok_or(DeleteError::NotFound)?;
        // The key goes in any case.
        let added = session.key.add_to(&mut fingerprint);
        let ended = self.wipe(id, session);
        added.map_err(DeleteError::Look)?;
        self.forget(ended.domain.clone(), cached, viewer).await?;
        let look = spawn_blocking(move || fingerprint.look()).await.unwrap_or_else(|error| {
            Err(SecretError::System { action: "look through memory", source: io::Error::other(error) })
        });
        let look = look.map_err(DeleteError::Look)?;
        self.report(&look);
        Ok((ended, look))
    }

    fn report(&self, look: &Look) {
        let (hits, bytes) = (look.hits, look.scanned_bytes);
        if hits > 0 {
            self.residues_found.fetch_add(hits, Ordering::Relaxed);
            tracing::error!(hits, "a scratch stack had not been wiped, and is now: this is a bug in rke");
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

    async fn forget(&self, domain: Domain, cached: CachedKey, viewer: &Viewer) -> Result<(), DeleteError> {
        match cached {
            CachedKey::Keep => Ok(()),
            CachedKey::Forget => {
                self.forget_keys(Some(domain), viewer).await.map(drop).map_err(DeleteError::Cache)
            }
        }
    }

    /// Ends all sessions that the viewer may see, or those of a domain: when this returns, their ids are dead and their
    /// keys are wiped. Says how many there were.
    ///
    /// # Errors
    /// [`DeleteError::Cache`]; the sessions have ended in any case.
    pub async fn delete_all(
        &self,
        domain: Option<Domain>,
        cached: CachedKey,
        viewer: &Viewer,
    ) -> Result<usize, DeleteError> {
        let is_of_domain = |of: &Domain| domain.as_ref().is_none_or(|domain| domain == of);
        let ended = self
            .store
            .remove_all(|session| viewer.sees(session.page.as_ref()) && is_of_domain(&session.origin.domain));
        let count = ended.len();
        self.wipe_each(ended, |id, of| self.journal.session_deleted(id, of));
        tracing::info!(count, "sessions deleted");
        if cached == CachedKey::Forget {
            self.forget_keys(domain, viewer).await.map_err(DeleteError::Cache)?;
        }
        Ok(count)
    }

    /// Removes the cached keys that the viewer may see, or those of a domain. Says how many there were.
    ///
    /// # Errors
    /// What the system said; the keys are no longer used in any case.
    pub async fn forget_keys(&self, domain: Option<Domain>, viewer: &Viewer) -> io::Result<usize> {
        let (keystore, remote) = (Arc::clone(&self.keystore), Arc::clone(&self.remote));
        let (whose, viewer) = (domain.clone(), viewer.clone());
        // All of it there, so that it is done also where the client hangs up and nobody waits for it.
        let forget = spawn_blocking(move || {
            let Removed { count, remote: deletions, failed } = keystore.forget(whose.as_ref(), &viewer);
            remote.submit(deletions);
            (count, failed)
        });
        let (count, failed) = forget.await.map_err(io::Error::other)?;
        tracing::info!(count, "cached keys removed");
        self.journal.keys_forgotten(domain, count);
        failed.map_or(Ok(count), Err)
    }

    /// Drops every session and every cached key, and calls off the exchanges that run. When this returns
    /// no key is left.
    ///
    /// # Errors
    /// What the system said where a file could not be removed; its key is no longer used.
    pub async fn drop_everything(&self) -> io::Result<()> {
        let drop_sessions =
            || self.wipe_each(self.store.remove_all(|_| true), |id, of| self.journal.session_dropped(id, of));
        // First what there is now: calling off may wait for a file that is being written.
        drop_sessions();
        let _standstill = self.creations.call_off().await;
        drop_sessions();
        self.exchange.look_again();
        self.forget_keys(None, &Viewer::Program).await.map(drop)
    }

    /// Whether the machine has slept and [`Sessions::drop_after_sleep`] has something to do about it.
    pub fn has_slept(&self, now: &Reading) -> bool {
        self.suspend.has_slept(now).is_some()
    }

    /// Drops everything if the machine has slept and the settings want that. Asked before each request.
    pub async fn drop_after_sleep(&self, now: &Reading) {
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

    /// Ends all sessions because the daemon stops. Says how many there were.
    pub fn stop(&self) -> usize {
        let ended = self.store.remove_all(|_| true);
        let count = ended.len();
        self.wipe_each(ended, |_, _| ());
        count
    }

    /// Wipes the keys of sessions, all of them before any is reported, and then at the other ends.
    fn wipe_each(&self, sessions: Vec<(SessionId, NewSession)>, report: impl Fn(SessionId, Domain)) {
        let wipe = |(id, session): (SessionId, NewSession)| {
            let deletion = session.remote_deletion();
            (id, session.origin, deletion)
        };
        let wiped: Vec<_> = sessions.into_iter().map(wipe).collect();
        let deletions = wiped.into_iter().filter_map(|(id, origin, deletion)| {
            self.tunnels.cut(id, BreakCode::Deleted);
            report(id, origin.domain.clone());
            deletion
        });
        self.remote.submit(deletions);
    }
}
