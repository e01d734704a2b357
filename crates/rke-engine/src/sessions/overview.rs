//! What is shown about sessions, and about everything needed to open one: counts, names, times. None of it is secret,
//! and reading it changes nothing.

use super::{Sessions, StoreError};
use crate::activity;
use crate::exchange::progress::Watch;
use crate::exchange::raidas;
use crate::guardians::Report;
use crate::keys;
use crate::model::remote_deletion::RemoteCounts;
use crate::model::session_id::SessionId;
use crate::model::viewer::Viewer;
use crate::store::{self, KeyUse, SessionInfo};

/// How often a copy is fetched again that is gone before it can be shown.
const ATTEMPTS: usize = 3;

/// Numbers that change when what they stand for changes for a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Sessions; for a program, remote deletions too.
    pub sessions: u64,
    /// Cached keys.
    pub keys: u64,
    /// The state of the RAIDAs.
    pub raidas: u64,
    /// The activity.
    pub activity: u64,
}

impl Sessions {
    /// A session that has not expired. Does not count as a use, unless other machines share the session.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] if no such session exists.
    pub async fn show(&self, id: SessionId) -> Result<SessionInfo, StoreError> {
        if !self.are_shared() {
            return self.store.row(id).ok_or(StoreError::NotFound);
        }
        // The hold of a copy may end between the two steps.
        for _ in 0..ATTEMPTS {
            self.bring(id, KeyUse::Decrypt).await?;
            if let Some(row) = self.store.row(id) {
                return Ok(row);
            }
        }
        Err(StoreError::Overtaken)
    }

    /// The same for a session that no other machine shares.
    pub fn show_own(&self, id: SessionId) -> Option<SessionInfo> {
        self.store.row(id)
    }

    /// Why the Content Server broke off the session's most recently ended tunnel, if it did.
    pub fn tunnel_broken_off(&self, id: SessionId) -> Option<String> {
        self.tunnels.broken_off(id)
    }

    /// Whether the Content Server said that it no longer has the session's key when the latest tunnel was opened. It says so
    /// without proof. Nothing else of a session reaches the Content Server, so without tunnels nobody learns it.
    pub fn is_key_gone(&self, id: SessionId) -> bool {
        self.tunnels.is_key_gone(id)
    }

    /// How many sessions the viewer may see, and those that have not expired, oldest first.
    ///
    /// # Errors
    /// [`StoreError`], only where other machines share the sessions.
    pub async fn list(&self, viewer: &Viewer) -> Result<(store::Count, Vec<SessionInfo>), StoreError> {
        match &self.shared {
            Some(shared) => shared.rows(viewer, &self.store).await,
            None => Ok(self.store.rows(viewer)),
        }
    }

    /// How many sessions exist.
    ///
    /// # Errors
    /// [`StoreError`], only where other machines share the sessions.
    pub async fn count(&self) -> Result<store::Count, StoreError> {
        match &self.shared {
            Some(shared) => shared.count().await,
            None => Ok(self.store.count()),
        }
    }

    /// Returns if the sessions that this machine has can still be reached; hangs if they cannot.
    pub fn prove_alive(&self) {
        self.store.count();
    }

    /// The unexpired cached keys that the viewer may see.
    ///
    /// # Errors
    /// [`StoreError`], only where other machines share them.
    pub async fn cached_keys(&self, viewer: &Viewer) -> Result<Vec<keys::CachedKeyInfo>, StoreError> {
        match &self.shared {
            Some(shared) => shared.cache_rows(viewer).await,
            None => Ok(self.keystore.rows(viewer)),
        }
    }

    /// How many keys are cached.
    ///
    /// # Errors
    /// [`StoreError`], only where other machines share them.
    pub async fn count_cached_keys(&self) -> Result<keys::Count, StoreError> {
        let Some(shared) = &self.shared else { return Ok(self.keystore.count()) };
        let valid = shared.cache_rows(&Viewer::Program).await?.len();
        Ok(keys::Count { total: valid, valid })
    }

    /// How the RAIDAs have been doing, all of them in order.
    pub fn raidas(&self) -> Vec<raidas::RaidaSummary> {
        self.exchange.raidas().rows()
    }

    /// Where the guardians say that the RAIDAs are. `None` without guardians.
    pub fn directory(&self) -> Option<Report> {
        self.exchange.agreed_directory().report()
    }

    /// The latest events that the viewer may see, newest first.
    pub fn activity(&self, viewer: &Viewer) -> Vec<activity::Event> {
        self.journal.activity().seen_by(viewer)
    }

    /// How many remote deletions are pending, and how many were confirmed.
    pub fn count_remote_deletions(&self) -> RemoteCounts {
        self.remote.counts()
    }

    /// The change counters for the viewer, to be compared with earlier ones.
    pub async fn changes(&self, viewer: &Viewer) -> Changes {
        let deletions = match viewer {
            // The console shows them in what it requests when sessions have changed.
            Viewer::Program => self.remote.changes(),
            Viewer::Page(_) | Viewer::NullOrigin => 0,
        };
        let (raidas, directory) =
            (self.exchange.raidas().changes(), self.exchange.agreed_directory().changes());
        let (of_sessions, of_keys) = match &self.shared {
            Some(shared) => {
                let changes = shared.changes().await;
                (changes, changes)
            }
            None => (self.store.changes(viewer), self.keystore.state(viewer)),
        };
        Changes {
            sessions: of_sessions.wrapping_add(deletions),
            keys: of_keys,
            raidas: raidas.wrapping_add(directory),
            activity: self.journal.activity().changes(viewer),
        }
    }

    /// Subscribes to the later steps of exchanges that the viewer may see. `None` if all seats are taken.
    pub fn watch_exchanges(&self, viewer: Viewer) -> Option<Watch> {
        self.exchange.progress().watch(viewer)
    }
}
