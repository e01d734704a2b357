//! Whether other machines share the sessions, and what a request waits for if they do. A daemon of its own waits for nothing.

use std::sync::Arc;

use super::Sessions;
use super::shared::{Holders, KeyFileError, Shared, StoreError};
use crate::Domain;
use crate::activity::Subject;
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;
use crate::model::viewer::Viewer;
use crate::store::KeyUse;

impl Sessions {
    /// Reads the keys of the store that other machines share again, if they share one.
    ///
    /// # Errors
    /// [`KeyFileError`]; then the keys are the ones from before.
    pub fn reload_store_keys(&self) -> Result<(), KeyFileError> {
        self.shared.as_ref().map_or(Ok(()), |shared| shared.reload_keys())
    }

    /// Whether other machines share the sessions.
    pub fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Why sessions cannot be used or opened at the moment, because of the store that other machines share.
    pub fn outage(&self) -> Option<&'static str> {
        Some(self.shared.as_ref()?.outage()?.reason())
    }

    /// Whether a session can be used for this without waiting. A session of this daemon alone, or none, always can: its use
    /// tells what is the matter.
    pub fn is_at_hand(&self, id: SessionId, key_use: KeyUse, now: Moment) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.holds(id, key_use, now))
    }

    /// Makes sure that a session can be used for this, at once and for a little while. Waits only where other machines share it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bring(&self, id: SessionId, key_use: KeyUse) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let brought = shared.bring(id, key_use).await;
        if let Err(StoreError::UsedUp) = brought
            && shared.bring(id, KeyUse::Decrypt).await.is_ok()
            && let Some(row) = self.store.row(id)
        {
            let (domain, page) = (row.origin.domain.clone(), self.store.page(id));
            self.journal.session_used_up(Subject { session: id, domain, page });
        }
        brought
    }

    /// Keeps a session at hand for what uses it for long. Returns when it cannot be kept: never, unless other machines share it.
    pub(crate) async fn keep(&self, id: SessionId) {
        match &self.shared {
            Some(shared) => shared.keep(id).await,
            None => std::future::pending().await,
        }
    }

    /// Deletes shared sessions. A program's are deleted without a walk, and counted before: those of a domain have no counter. A page's
    /// are deleted one after the other.
    pub(super) async fn delete_shared(
        &self,
        shared: &Arc<Shared>,
        domain: Option<&Domain>,
        viewer: &Viewer,
    ) -> Result<usize, StoreError> {
        let is_for_all = *viewer == Viewer::Program;
        if is_for_all && domain.is_none() {
            let count = shared.delete_many(None).await?.unwrap_or_default();
            return Ok(count.try_into().unwrap_or(usize::MAX));
        }
        let chosen = shared.chosen(domain, viewer).await?;
        let mut count = chosen.len();
        if is_for_all {
            shared.delete_many(domain.map(Domain::as_str)).await?;
            return Ok(count);
        }
        for id in chosen {
            match shared.delete(id, Holders::Wipe).await {
                Ok(_) => (),
                Err(StoreError::NotFound) => count -= 1,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}
