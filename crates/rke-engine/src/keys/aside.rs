//! Unusable files of the cache, and how they are handled.

use std::path::Path;
use std::{fs, io};

use rke_host::sealed::{SealError, Sealer};

use super::Keystore;
use super::description::Description;

/// The folder for narrow keys that earlier runs of the daemon have cached.
pub(super) const EARLIER: &str = "earlier-keys";

/// Why a file of the cache is unusable.
pub(super) enum Unusable {
    Expired,
    /// A narrow key cached by another run of the daemon, or by this run before the present one.
    Earlier,
    Damaged(SealError),
    /// The system could not read it. The file itself may be intact.
    Unreadable(SealError),
}

impl Unusable {
    /// Whether the file may become usable later.
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
    /// Removes an unusable file or moves it aside, unless it may become usable later.
    pub(super) fn put_away(&self, path: &Path, why: &Unusable) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let reason = match why {
            Unusable::Expired => return discard(path, "it has expired"),
            // Left over from an interrupted write.
            Unusable::Damaged(_) if file.starts_with(".tmp") => return discard(path, "it is not complete"),
            Unusable::Earlier => return self.put_with_earlier(path),
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

    /// Moves a narrow key's file to the folder of unused keys of earlier runs, where it stays until it expires.
    fn put_with_earlier(&self, path: &Path) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        match self.data_dir.move_to(EARLIER, path) {
            Ok(aside) => tracing::info!(
                %file, aside = %aside.display(),
                "moved a narrow key of an earlier run aside: how much it has encrypted is not known"
            ),
            Err(error) => tracing::warn!(%file, %error, "cannot move a narrow key of an earlier run aside"),
        }
    }

    /// Removes the narrow keys of earlier runs that `which` selects. Each file is overwritten first.
    pub(super) fn remove_earlier(&self, which: impl Fn(&Description) -> bool) -> io::Result<()> {
        let found = fs::read_dir(self.data_dir.path().join(EARLIER)).into_iter().flatten().flatten();
        let mut removed = Ok(());
        for path in found.map(|entry| entry.path()) {
            let description = self
                .data_dir
                .sealer()
                .describe(&path)
                .and_then(|description| Description::decode(&description));
            if description.is_ok_and(|about| which(&about)) {
                removed = removed.and(Sealer::remove(&path));
            }
        }
        removed
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
