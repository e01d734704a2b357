//! The session creations in progress. They can all be called off at once. Then none leaves a session or a cached key
//! behind, not even one whose file is being written at that moment.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};

/// All creations in progress.
pub(crate) struct Creations {
    running: Arc<RwLock<()>>,
    called_off: watch::Sender<u64>,
}

/// Held by everything that works for a creation, including work on other threads. Calling off creations waits until
/// the last clone is dropped.
pub(crate) type Leave = Arc<OwnedRwLockReadGuard<()>>;

/// No creation begins while this exists.
pub(crate) type Standstill = OwnedRwLockWriteGuard<()>;

impl Creations {
    pub(crate) fn new() -> Self {
        Self { running: Arc::default(), called_off: watch::Sender::new(0) }
    }

    /// Runs a creation to its end. `None` if it was called off.
    pub(crate) async fn run<T>(&self, create: impl AsyncFnOnce(Leave) -> T) -> Option<T> {
        let mut called_off = self.called_off.subscribe();
        let leave = Arc::new(Arc::clone(&self.running).read_owned().await);
        // The creation may give its leave away before its last step. This clone outlives everything that the creation
        // holds.
        let _to_its_end = Arc::clone(&leave);
        tokio::select! {
            biased;
            _ = called_off.changed() => None,
            created = create(leave) => Some(created),
        }
    }

    /// Calls off all creations in progress, and waits until no work is done for them.
    pub(crate) async fn call_off(&self) -> Standstill {
        self.called_off.send_modify(|times| *times += 1);
        Arc::clone(&self.running).write_owned().await
    }
}

#[cfg(test)]
mod tests;
