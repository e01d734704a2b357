//! Searches of this process's memory for keys that were wiped.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rke_secret::SecretError;
use rke_secret::memory_scan::{Fingerprint, MemoryScan};

use crate::blocking::spawn_blocking;
use crate::model::session_key::SessionKey;

/// The scratch stacks that searches found unwiped.
#[derive(Debug, Default)]
pub(super) struct Residues(AtomicU64);

impl Residues {
    /// How many there were.
    pub(super) fn found(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Searches this process, and reports what it finds.
    ///
    /// # Errors
    /// [`SecretError`] if it cannot be searched.
    pub(super) async fn search(&self, wanted: Fingerprint) -> Result<MemoryScan, SecretError> {
        let scan = spawn_blocking(move || wanted.scan_memory()).await.unwrap_or_else(|error| {
            Err(SecretError::System { action: "scan memory", source: io::Error::other(error) })
        })?;
        self.report(&scan);
        Ok(scan)
    }

    fn report(&self, scan: &MemoryScan) {
        let (hits, bytes) = (scan.hits, scan.scanned_bytes);
        if hits > 0 {
            self.0.fetch_add(hits, Ordering::Relaxed);
            tracing::error!(hits, "a scratch stack had not been wiped, and is now: this is a bug in rke");
        } else {
            tracing::info!(bytes, threads = scan.threads, "session deleted, and nothing of its key is left");
        }
        if scan.threads_missed > 0 {
            tracing::warn!(
                threads = scan.threads_missed,
                "these threads did not stop, so their registers were not scanned"
            );
        }
    }
}

/// What to search for once this key is wiped.
///
/// # Errors
/// [`SecretError`].
pub(super) fn fingerprint(key: &SessionKey) -> Result<Fingerprint, SecretError> {
    let mut fingerprint = Fingerprint::new()?;
    key.add_to(&mut fingerprint)?;
    Ok(fingerprint)
}
