//! `rke wallet …` and `rke coin …`: coins, for people who use them and for people who run a network of their own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rke_host::wallet::{CoinFile, all_coin_files};
use rke_proto::RAIDA_COUNT;
use rke_proto::coin::{CoinId, CoinStatus};
use rke_raida::mint::{file_name, make_wallet, mint};
use rke_raida::split::split;

use crate::cli::coin::{CoinCommand, WalletCommand};
use crate::doctor;
use crate::protection::start_runtime;
use crate::terminal::{BAD, Cell, clean, out, out_text, paint, say, table};
use crate::words::counted;

pub(crate) fn wallet(command: WalletCommand) -> Result<()> {
    match command {
        WalletCommand::List { wallet } => list(&wallet),
        WalletCommand::Check { wallet } => doctor::check_wallet(&wallet),
        WalletCommand::New { wallet, coins, protection } => {
            // The process must be protected before it makes ANs.
            let _runtime = start_runtime(protection, 0, None)?;
            make(&wallet, &coins)
        }
    }
}

pub(crate) fn coin(command: CoinCommand) -> Result<()> {
    let CoinCommand::Split { files, out: folder, protection } = command;
    let _runtime = start_runtime(protection, 0, None)?;
    let coins = split(&files, &folder).context("no coin is split")?;
    let (coins, folder) = (counted(coins, "coin"), folder.display());
    out_text(&format!(
        "{folder}/raida-0 to {folder}/raida-24 have the ANs of {coins}, each those of one RAIDA. Give each operator one of them."
    ))
}

fn list(wallet: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for file in all_coin_files(wallet) {
        let name = file.strip_prefix(wallet).unwrap_or(&file).display().to_string();
        match read(&file, &name) {
            Ok(of_file) => rows.extend(of_file),
            Err(error) => say(&format!("{} {}: {error}", paint(BAD, "rke:"), clean(&name))),
        }
    }
    if rows.is_empty() {
        bail!(
            "no coins are in {}: a wallet is a folder with coin files in Bank and Fracked",
            wallet.display()
        );
    }
    out(&table(&["COIN", "RAIDAS", "FILE"], rows))
}

fn read(file: &Path, name: &str) -> Result<Vec<Vec<Cell>>> {
    let file = CoinFile::open(file)?;
    let usable = format!("{} of {RAIDA_COUNT}", file.usable_at());
    let row =
        |at| Ok(vec![Cell::new(file.coin_id(at)?.to_string()), Cell::new(&usable), Cell::new(clean(name))]);
    (0..file.coins()).map(row).collect()
}

fn make(wallet: &Path, coins: &[CoinId]) -> Result<()> {
    let files: Vec<PathBuf> = coins.iter().map(|coin| wallet.join("Bank").join(file_name(*coin))).collect();
    for (at, file) in files.iter().enumerate() {
        if files[..at].contains(file) {
            bail!("coin {} is named twice; no coin is made", coins[at]);
        }
        if file.symlink_metadata().is_ok() {
            bail!("{} exists already and stays as it is; no coin is made", file.display());
        }
    }
    make_wallet(wallet).with_context(|| format!("cannot make the wallet {}", wallet.display()))?;
    for (coin, file) in coins.iter().zip(&files) {
        mint(file, &[*coin], [CoinStatus::Passed; RAIDA_COUNT])
            .with_context(|| format!("cannot make {}", file.display()))?;
    }
    out_text(&format!(
        "{} has {} more. Nodes know them when they are started with --coins {0}/Bank, or with what `rke coin split` writes.",
        wallet.display(),
        counted(coins.len(), "coin")
    ))
}
