//! A look at a wallet that reads no AN: which coins are there, where they can be used, what cannot be
//! read, and who else may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rke_proto::coin::CoinStatus;
use rke_proto::{RAIDA_COUNT, RaidaIndex};

use super::{Wallet, WalletError};

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
    let wallet = Wallet::at(path);
    wallet.check()?;
    let mut contents = Contents::default();
    for file in wallet.coin_files() {
        contents.add(&wallet, path, &file?);
    }
    match contents.files + contents.unusable.len() {
        0 => Err(WalletError::Empty),
        _ => Ok(contents),
    }
}

impl Contents {
    fn add(&mut self, wallet: &Wallet, folder: &Path, path: &Path) {
        if is_exposed(&folder.join(path)) {
            self.exposed.push(folder.join(path));
        }
        let file = match wallet.open_coin_file(path) {
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
