//! The coins that a node knows: its own AN of each, from the operator's folders of coin files.

use std::path::{Path, PathBuf};

use rke_host::wallet::{CoinFile, CoinFileReadError, all_coin_files};
use rke_proto::RaidaIndex;

use crate::responder::Ans;

/// A coin file that cannot be used, or a folder of them.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}: {reason}")]
pub struct UnusableCoins {
    /// Where.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What a node finds in its folders.
#[derive(Default)]
pub(super) struct Coins {
    pub(super) ans: Ans,
    pub(super) unusable: Vec<UnusableCoins>,
}

impl Coins {
    /// Reads all coin files of these folders, and of their Bank and Fracked folders. Blocks on the file system.
    pub(super) fn read(raida: RaidaIndex, folders: &[PathBuf]) -> Self {
        let mut coins = Self::default();
        for folder in folders {
            if let Err(error) = std::fs::read_dir(folder) {
                coins.note(folder, &error);
            }
            for file in all_coin_files(folder) {
                if let Err(error) = read_coin_file(raida, &file, &mut coins.ans) {
                    coins.note(&file, &error);
                }
            }
        }
        coins
    }

    fn note(&mut self, path: &Path, reason: &dyn std::fmt::Display) {
        self.unusable.push(UnusableCoins { path: path.into(), reason: reason.to_string() });
    }
}

fn read_coin_file(raida: RaidaIndex, path: &Path, ans: &mut Ans) -> Result<(), CoinFileReadError> {
    let file = CoinFile::open(path)?;
    for at in 0..file.coins() {
        ans.insert(file.coin_id(at)?, file.an(at, raida)?);
    }
    Ok(())
}
