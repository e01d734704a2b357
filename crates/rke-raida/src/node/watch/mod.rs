//! Notices that the coin files of a node have changed.

use std::fs;
use std::path::PathBuf;

use rke_host::stamp::Stamp;
use rke_host::wallet::all_coin_files;

/// What a node's folders of coins held when they were last read, and what they hold now. A node has given up the right to
/// have the kernel notify it (inotify), so its operator's program looks from time to time.
pub struct CoinWatch {
    folders: Vec<PathBuf>,
    read: Vec<Seen>,
    last: Vec<Seen>,
}

/// A coin file in one of its states.
#[derive(PartialEq, Eq, Clone)]
struct Seen {
    path: PathBuf,
    /// `None` for one that cannot be examined, such as a link that leads nowhere.
    stamp: Option<Stamp>,
}

impl CoinWatch {
    /// Watches these folders from now on: read them after this. Blocks on the file system.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let seen = look(&folders);
        Self { folders, read: seen.clone(), last: seen }
    }

    /// The folders.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Whether the files have changed since they were last read, and not since the last look: while someone copies files
    /// there, they wait. Then read them. Blocks on the file system.
    pub fn has_changed(&mut self) -> bool {
        let now = look(&self.folders);
        let is_settled = now == self.last;
        if is_settled && now != self.read {
            self.read.clone_from(&now);
            return true;
        }
        self.last = now;
        false
    }
}

fn look(folders: &[PathBuf]) -> Vec<Seen> {
    let files = folders.iter().flat_map(|folder| all_coin_files(folder));
    files.map(|path| Seen { stamp: fs::metadata(&path).ok().as_ref().map(Stamp::of), path }).collect()
}

#[cfg(test)]
mod tests;
