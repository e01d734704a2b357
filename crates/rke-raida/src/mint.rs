//! Makes coins for a local network: coin files with random ANs that only their owner can read.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rke_host::durable;
use rke_proto::RAIDA_COUNT;
use rke_proto::coin::{AN_LEN, CoinId, CoinStatus, FileHeader, encode_coin_header};
use rke_secret::Secret;

/// Makes a wallet folder with its Bank and Fracked folders (0700).
///
/// # Errors
/// The system's error.
pub fn make_wallet(wallet: &Path) -> io::Result<()> {
    ["Bank", "Fracked"].iter().try_for_each(|folder| make_folder(&wallet.join(folder)))
}

/// Makes a folder that only its owner enters, and those above it. One that exists stays as it is.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The name of a file with one coin.
pub fn file_name(coin: CoinId) -> String {
    format!("coin_{}_{}.bin", coin.denomination, coin.serial)
}

/// Mints new coins into one file (0600), which must not exist yet. `statuses` apply to a single coin; several coins
/// are usable at all RAIDAs.
///
/// # Errors
/// The system's error; then there is no file.
pub fn mint(file: &Path, coins: &[CoinId], statuses: [CoinStatus; RAIDA_COUNT]) -> io::Result<()> {
    write_new(file, |out| {
        out.write_all(&FileHeader::new(coins.len() as u16, statuses).encode())?;
        for coin in coins {
            out.write_all(&encode_coin_header(*coin))?;
            for _ in 0..RAIDA_COUNT {
                Secret::<AN_LEN>::random()?.expose(|an| out.write_all(an))?;
            }
        }
        Ok(())
    })
}

/// Writes a file that nobody but its owner reads (0600), whole or not at all: a node that watches the folder reads no half
/// of it.
pub(crate) fn write_new(path: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable::write_new(folder, path, content)
}
