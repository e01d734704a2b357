//! The commands for coins and wallets, and their flags.

use std::path::PathBuf;

use clap::Subcommand;
use rke_proto::coin::CoinId;

use crate::protection::Protection;

#[derive(Subcommand)]
pub(crate) enum WalletCommand {
    /// List the coins of a wallet, and at how many RAIDAs each can be used. No AN is read.
    List {
        /// The wallet folder.
        #[arg(value_name = "DIR")]
        wallet: PathBuf,
    },
    /// Look for what is wrong with a wallet, as `rke doctor` does.
    Check {
        /// The wallet folder.
        #[arg(value_name = "DIR")]
        wallet: PathBuf,
    },
    /// Make a wallet with new coins, for a network of your own: no RAIDA knows them until its operator adds them.
    New {
        /// The wallet folder. Coins that are in it stay.
        #[arg(value_name = "DIR")]
        wallet: PathBuf,
        /// The coins to make.
        #[arg(value_name = "DENOMINATION:SERIAL", required = true, allow_hyphen_values = true)]
        coins: Vec<CoinId>,
        #[command(flatten)]
        protection: Protection,
    },
}

#[derive(Subcommand)]
pub(crate) enum CoinCommand {
    /// Write a folder for each RAIDA with what it needs to know about coins: its own AN of each, and no other's.
    Split {
        /// Coin files.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Where to make the folders raida-0 to raida-24, one for the --coins of each node.
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        protection: Protection,
    },
}
