//! A look at a wallet that reads no AN: which coins are there, where they can be used, what cannot be
//! read, and who else may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rke_proto::coin::CoinStatus;
use rke_proto::{RAIDA_COUNT, RaidaIndex};

use super::{COIN_FOLDERS, CoinFile, WalletError, check_path, coin_files};

/// What is in a wallet.
#[derive(Debug, Default)]
pub struct Contents {
    /// Coin files that can be read.
    pub files: usize,
    /// For each RAIDA, how many coins can be used there.
    pub usable: [usize; RAIDA_COUNT],
    /// Coin files that cannot be used, by name, and why.
    pub unusable: Vec<String>,
    /// Coin files that others than their owner may read: by their mode, and those of the wallet's folders.
    pub exposed: Vec<PathBuf>,
}

/// Looks at the wallet at `path`. Blocks on the file system.
///
/// # Errors
/// [`WalletError`], also when there are no coin files at all.
pub fn examine(path: &Path) -> Result<Contents, WalletError> {
    check_path(path)?;
    let mut contents = Contents::default();
    for file in COIN_FOLDERS.iter().flat_map(|folder| coin_files(&path.join(folder))) {
        contents.add(&file);
    }
    match contents.files + contents.unusable.len() {
        0 => Err(WalletError::Empty),
        _ => Ok(contents),
    }
}

impl Contents {
    fn add(&mut self, path: &Path) {
        if is_exposed(path) {
            self.exposed.push(path.into());
        }
        let file = match CoinFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                self.unusable.push(format!("{}: {error}", name.escape_debug()));
                return;
            }
        };
        self.files += 1;
        for raida in RaidaIndex::all().filter(|raida| file.header.status(*raida) == CoinStatus::Passed) {
            self.usable[raida.position()] += usize::from(file.coins());
        }
    }
}

fn is_exposed(path: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |about| about.permissions().mode());
    // The wallet, its folder, the file: who may enter both and read that.
    let folders = path.ancestors().skip(1).take(2).fold(0o011, |open, folder| open & mode(folder));
    folders & (mode(path) >> 2) != 0
}
