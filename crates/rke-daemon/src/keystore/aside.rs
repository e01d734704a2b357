//! Files of the cache that are of no use, and what becomes of them.

use std::path::Path;

use rke_host::sealed::{SealError, Sealer};

use super::Keystore;

/// Why a file of the cache is of no use.
pub(super) enum Unusable {
    Expired,
    Damaged(SealError),
    /// It may be all right: the system could not read it.
    Unreadable(SealError),
}

impl Unusable {
    /// Whether it may be of use later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreadable(error) if !error.is_missing())
    }
}

impl From<SealError> for Unusable {
    fn from(error: SealError) -> Self {
        if error.is_damage() { Self::Damaged(error) } else { Self::Unreadable(error) }
    }
}

impl Keystore {
    /// Takes a file that is of no use out of the way, where that is for good.
    pub(super) fn put_away(&self, path: &Path, why: &Unusable) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let reason = match why {
            Unusable::Expired => return discard(path, "it has expired"),
            // Of a write that did not come to its end.
            Unusable::Damaged(_) if file.starts_with(".tmp") => return discard(path, "it is not complete"),
            Unusable::Damaged(reason) => reason,
            Unusable::Unreadable(reason) => {
                return tracing::warn!(%file, %reason, "cannot read a cached key");
            }
        };
        match self.data_dir.set_aside(path) {
            Ok(aside) => {
                tracing::warn!(%file, %reason, aside = %aside.display(), "moved a cached key aside");
            }
            Err(error) => tracing::warn!(%file, %reason, %error, "cannot move a cached key aside"),
        }
    }
}

/// Overwrites a file and removes it.
pub(super) fn discard(path: &Path, reason: &str) {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    match Sealer::remove(path) {
        Ok(()) => tracing::warn!(%file, reason, "removed a cached key"),
        Err(error) => tracing::warn!(%file, reason, %error, "cannot remove a cached key"),
    }
}
