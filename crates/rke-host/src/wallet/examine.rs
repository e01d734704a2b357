//! Examines a wallet without reading an AN: its coins, where they can be used, what cannot be read, and who else may read
//! them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::{RAIDA_COUNT, RaidaIndex};

use super::{CoinFile, CoinFileReadError, Wallet, WalletError};

/// What is in a wallet.
#[derive(Debug, Default)]
pub struct Contents {
    /// Coin files that can be read.
    pub files: usize,
    /// For each RAIDA, the coins that can be used there.
    pub usable: [HashSet<CoinId>; RAIDA_COUNT],
    /// Coins that are in several files, or several times in one.
    pub repeated: Vec<CoinId>,
    /// Coin files that cannot be used, by name, and why.
    pub unusable: Vec<String>,
    /// Coin files that anyone except their owner may read, by their mode and those of the wallet's folders.
    pub exposed: Vec<PathBuf>,
}

/// Examines the wallet at `path`. Blocks on the file system.
///
/// # Errors
/// [`WalletError`], also if it has no coin files.
pub fn examine(path: &Path) -> Result<Contents, WalletError> {
    let wallet = Wallet::at(path);
    wallet.check()?;
    let (mut contents, mut known) = (Contents::default(), HashSet::new());
    for file in wallet.coin_files() {
        contents.add(&wallet, path, &file?, &mut known);
    }
    match contents.files + contents.unusable.len() {
        0 => Err(WalletError::Empty(path.into())),
        _ => Ok(contents),
    }
}

impl Contents {
    fn add(&mut self, wallet: &Wallet, folder: &Path, path: &Path, known: &mut HashSet<CoinId>) {
        if is_exposed(&folder.join(path)) {
            self.exposed.push(folder.join(path));
        }
        let added = wallet.open_coin_file(path).and_then(|file| self.add_coins(&file, known));
        if let Err(error) = added {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.unusable.push(format!("{}: {error}", name.escape_debug()));
        }
    }

    fn add_coins(&mut self, file: &CoinFile, known: &mut HashSet<CoinId>) -> Result<(), CoinFileReadError> {
        for at in 0..file.coins() {
            let coin = file.coin_id(at)?;
            if !known.insert(coin) && !self.repeated.contains(&coin) {
                self.repeated.push(coin);
            }
            for raida in RaidaIndex::all().filter(|raida| file.header.status(*raida) == CoinStatus::Passed) {
                self.usable[raida.position()].insert(coin);
            }
        }
        self.files += 1;
        Ok(())
    }
}

fn is_exposed(path: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |about| about.permissions().mode());
    // Others can read a file only if they may enter the wallet and its folder, and read the file.
    let folders = path.ancestors().skip(1).take(2).fold(0o011, |open, folder| open & mode(folder));
    folders & (mode(path) >> 2) != 0
}
