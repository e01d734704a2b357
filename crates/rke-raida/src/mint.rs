//! Makes coins for a local network: coin files with random ANs, readable by their owner only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rke_proto::RAIDA_COUNT;
use rke_proto::coin::{AN_LEN, CoinId, CoinStatus, FileHeader, encode_coin_header};
use rke_secret::Secret;

/// Makes a wallet folder with its Bank and Fracked folders (0700).
///
/// # Errors
/// What the system said.
pub fn make_wallet(wallet: &Path) -> io::Result<()> {
    for folder in ["Bank", "Fracked"] {
        DirBuilder::new().recursive(true).mode(0o700).create(wallet.join(folder))?;
    }
    Ok(())
}

/// Mints new coins into one file (0600), which must not exist yet. `statuses` count where there is
/// one coin; several are usable everywhere.
///
/// # Errors
/// What the system said; then there is no file.
pub fn mint(file: &Path, coins: &[CoinId], statuses: [CoinStatus; RAIDA_COUNT]) -> io::Result<()> {
    let write = || {
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        out.write_all(&FileHeader::new(coins.len() as u16, statuses).encode())?;
        for coin in coins {
            out.write_all(&encode_coin_header(*coin))?;
            for _ in 0..RAIDA_COUNT {
                Secret::<AN_LEN>::random()?.expose(|an| out.write_all(an))?;
            }
        }
        out.sync_all()
    };
    write().inspect_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(file);
        }
    })
}
