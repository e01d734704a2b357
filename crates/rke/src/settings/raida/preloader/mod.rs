//! `--preloader`: a coin that may preload, by its name or by a file that has it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use rke_host::wallet::CoinFile;
use rke_proto::ContentServerId;
use rke_proto::coin::CoinId;
use rke_raida::owners::{Preloader, parse_cs_ids};

/// A preloader as the settings name it.
#[derive(Debug, Clone)]
pub(super) struct NamedPreloader {
    coin: NamedCoin,
    /// `None`: any ID that no other coin owns or is named for.
    cs_ids: Option<Vec<ContentServerId>>,
}

#[derive(Debug, Clone)]
enum NamedCoin {
    Id(CoinId),
    /// The only coin of a file, which is read when the node starts and at SIGHUP.
    File(PathBuf),
}

impl FromStr for NamedPreloader {
    type Err = String;

    /// `COIN`, `COIN=*` or `COIN=ID+ID…`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (coin, ids) = text.split_once('=').map_or((text, None), |(coin, ids)| (coin, Some(ids)));
        Ok(Self { coin: coin.parse()?, cs_ids: parse_cs_ids(ids)? })
    }
}

impl FromStr for NamedCoin {
    type Err = String;

    /// A coin file is known by a slash in its path, or by `.bin` at the end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') || text.to_ascii_lowercase().ends_with(".bin") {
            return Ok(Self::File(text.into()));
        }
        text.parse()
            .map(Self::Id)
            .map_err(|error| format!("{error}, or is the path of a coin file, such as ./coin.bin"))
    }
}

impl NamedPreloader {
    /// The file that has the coin, if one is named.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match &self.coin {
            NamedCoin::Id(_) => None,
            NamedCoin::File(path) => Some(path),
        }
    }

    /// The preloader, with the name of the coin from its file. No AN is read.
    ///
    /// # Errors
    /// The file cannot be read, or has several coins.
    pub(super) fn find(&self) -> Result<Preloader> {
        let coin = match &self.coin {
            NamedCoin::Id(coin) => *coin,
            NamedCoin::File(path) => {
                coin_of(path).with_context(|| format!("cannot find a preloader in {}", path.display()))?
            }
        };
        Ok(match &self.cs_ids {
            Some(cs_ids) => Preloader::of(coin, cs_ids.clone()),
            None => Preloader::of_any(coin),
        })
    }
}

/// The only coin of a file.
fn coin_of(path: &Path) -> Result<CoinId> {
    let file = CoinFile::open(path)?;
    match file.coins() {
        1 => Ok(file.coin_id(0)?),
        coins => bail!("it has {coins} coins; name one of them as DENOMINATION:SERIAL"),
    }
}

#[cfg(test)]
mod tests;
