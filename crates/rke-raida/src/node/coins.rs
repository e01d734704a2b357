//! The coins that a node knows: its own AN of each, from the operator's folders of coin files.

use std::path::{Path, PathBuf};

use rke_host::wallet::{CoinFile, CoinFileReadError, all_coin_files, is_zeros};
use rke_proto::coin::CoinId;
use rke_proto::{Bitmap, RaidaIndex};

use super::CoinCount;
use crate::responder::Ans;

/// A coin file or a folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}: {reason}")]
pub struct UnusableCoins {
    pub path: PathBuf,
    pub reason: String,
}

/// The coins in a node's folders.
#[derive(Default)]
pub(super) struct Coins {
    pub(super) ans: Ans,
    pub(super) unusable: Vec<UnusableCoins>,
    /// Files that have the ANs of other RAIDAs too.
    pub(super) with_others: usize,
}

/// Why a coin file is of no use to a node.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Read(#[from] CoinFileReadError),
    #[error("coin {coin} has no AN for RAIDA {own} there, {}", what_it_has(*.has))]
    NoOwnAn { coin: CoinId, own: RaidaIndex, has: Bitmap },
}

impl From<std::io::Error> for Unusable {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error.into())
    }
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
                if let Err(error) = coins.read_file(raida, &file) {
                    coins.note(&file, &error);
                }
            }
        }
        coins
    }

    pub(super) fn count(&self) -> CoinCount {
        CoinCount { coins: self.ans.len(), files_with_others: self.with_others }
    }

    /// Logs each file and folder that could not be used.
    pub(super) fn log_unusable(&self) {
        for UnusableCoins { path, reason } in &self.unusable {
            tracing::warn!(file = %path.display(), %reason, "skipped a coin file");
        }
    }

    fn note(&mut self, path: &Path, reason: &dyn std::fmt::Display) {
        self.unusable.push(UnusableCoins { path: path.into(), reason: reason.to_string() });
    }

    fn read_file(&mut self, raida: RaidaIndex, path: &Path) -> Result<(), Unusable> {
        let file = CoinFile::open(path)?;
        let mut has_others = file.has_proposed_ans();
        for at in 0..file.coins() {
            let (coin, an, has) = (file.coin_id(at)?, file.an(at, raida)?, file.raidas_with_an(at)?);
            // With zeros for an AN, anyone could use the coin here.
            if an.expose(is_zeros) {
                return Err(Unusable::NoOwnAn { coin, own: raida, has });
            }
            has_others |= !has.is_within([raida].into_iter().collect());
            self.ans.insert(coin, an);
        }
        self.with_others += usize::from(has_others);
        Ok(())
    }
}

/// What a file has of a coin, for an operator who looks for the right one.
fn what_it_has(has: Bitmap) -> String {
    let mut raidas = has.iter();
    match (raidas.next(), raidas.next()) {
        (None, _) => "and for no other RAIDA".to_owned(),
        (Some(one), None) => format!("only for RAIDA {one}: the file is another node's"),
        (Some(_), Some(_)) => format!("only for {} other RAIDAs", has.count()),
    }
}
