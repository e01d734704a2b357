//! The commands for a store that several machines share, and their flags.

use std::path::PathBuf;

use clap::Subcommand;

use crate::protection::Protection;
use crate::settings::store::StoreAddressOptions;

#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Make the file with the key that seals what is in the store, or put a new key in front of those that it has: the first
    /// seals, each opens. All machines that share the store need the same file.
    Key {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Also remove the keys that nothing in the store is sealed under any longer. Needs --store.
        #[arg(long)]
        rotate: bool,
        #[command(flatten)]
        address: StoreAddressOptions,
        #[command(flatten)]
        protection: Protection,
    },
}
