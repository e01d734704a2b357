//! Splits coin files for RAIDA nodes, each of which needs its own AN of a coin and no other. `docs/raida.md` has the bytes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rke_host::wallet::{CoinFile, CoinFileReadError};
use rke_proto::coin::{AN_LEN, CoinId, CoinStatus, FileHeader, encode_coin_header};
use rke_proto::{Bitmap, RAIDA_COUNT, RaidaIndex};
use rke_secret::Secret;

use crate::mint::{file_name, make_folder, write_new};

/// Why coins cannot be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// A coin file cannot be read.
    #[error("cannot read the coin file {path}: {source}")]
    Read { path: PathBuf, source: CoinFileReadError },
    /// It lacks ANs. Anyone could use a coin whose AN is zeros.
    #[error("coin {coin} in {path} has the ANs of {count} of 25 RAIDAs: split the file that has all of them")]
    NotWhole { path: PathBuf, coin: CoinId, count: usize },
    /// A coin is in several of the files, or several times in one.
    #[error("coin {0} is there twice: name one file that has it")]
    Twice(CoinId),
    /// A file would be overwritten.
    #[error("{0} exists already: move it away, or split into another folder")]
    Exists(PathBuf),
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// Writes what each RAIDA is to know of the coins in these files, and nothing else, into folders of their own (0700): `raida-0`
/// to `raida-24` in `folder` get a file for each coin (0600), which must not exist yet. Gives how many coins there are.
///
/// # Errors
/// [`SplitError`]; then no file is left behind.
pub fn split(files: &[PathBuf], folder: &Path) -> Result<usize, SplitError> {
    let coins = check(files, folder)?;
    let mut written = Vec::new();
    let done = files.iter().try_for_each(|file| split_file(file, folder, &mut written));
    done.inspect_err(|_| {
        for file in &written {
            let _ = fs::remove_file(file);
        }
    })?;
    Ok(coins)
}

/// The folder of a RAIDA's files.
fn folder_of(raida: RaidaIndex, folder: &Path) -> PathBuf {
    folder.join(format!("raida-{raida}"))
}

/// Checks that each coin can be split, before anything is written. Gives how many coins there are.
fn check(files: &[PathBuf], folder: &Path) -> Result<usize, SplitError> {
    let mut known = HashSet::new();
    for path in files {
        let source = CoinFile::open(path).map_err(unreadable(path))?;
        for at in 0..source.coins() {
            let (coin, has) = name_and_raidas(&source, at).map_err(unreadable(path))?;
            if has.count() < RAIDA_COUNT {
                return Err(SplitError::NotWhole { path: path.clone(), coin, count: has.count() });
            }
            if !known.insert(coin) {
                return Err(SplitError::Twice(coin));
            }
            let mut targets = RaidaIndex::all().map(|raida| folder_of(raida, folder).join(file_name(coin)));
            if let Some(target) = targets.find(|target| target.symlink_metadata().is_ok()) {
                return Err(SplitError::Exists(target));
            }
        }
    }
    Ok(known.len())
}

fn name_and_raidas(source: &CoinFile, at: u16) -> Result<(CoinId, Bitmap), CoinFileReadError> {
    Ok((source.coin_id(at)?, source.raidas_with_an(at)?))
}

fn unreadable(path: &Path) -> impl FnOnce(CoinFileReadError) -> SplitError {
    move |source| SplitError::Read { path: path.into(), source }
}

/// Writes what the RAIDAs are to know of the coins in a file, and notes each file that it has written.
fn split_file(path: &Path, folder: &Path, written: &mut Vec<PathBuf>) -> Result<(), SplitError> {
    let source = CoinFile::open(path).map_err(unreadable(path))?;
    for raida in RaidaIndex::all() {
        let own = folder_of(raida, folder);
        make_folder(&own).map_err(|source| SplitError::Write { path: own.clone(), source })?;
        for at in 0..source.coins() {
            let (coin, an) = name_and_an(&source, at, raida).map_err(unreadable(path))?;
            let target = own.join(file_name(coin));
            write_new(&target, |out| write_for(raida, coin, &an, out))
                .map_err(|source| SplitError::Write { path: target.clone(), source })?;
            written.push(target);
        }
    }
    Ok(())
}

fn name_and_an(
    source: &CoinFile,
    at: u16,
    raida: RaidaIndex,
) -> Result<(CoinId, Secret<AN_LEN>), CoinFileReadError> {
    Ok((source.coin_id(at)?, source.an(at, raida)?))
}

/// A coin file with one AN. The statuses say that it is a coin at this RAIDA only.
fn write_for(raida: RaidaIndex, coin: CoinId, an: &Secret<AN_LEN>, out: &mut File) -> io::Result<()> {
    let status = |at| if at == raida.position() { CoinStatus::Passed } else { CoinStatus::Failed };
    out.write_all(&FileHeader::new(1, std::array::from_fn(status)).encode())?;
    out.write_all(&encode_coin_header(coin))?;
    for at in 0..RAIDA_COUNT {
        match at == raida.position() {
            true => an.expose(|an| out.write_all(an))?,
            false => out.write_all(&[0; AN_LEN])?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
