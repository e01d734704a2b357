//! `rke store …`: the keys of a store that several machines share.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rke_shared_store::key_file::{Rotated, add_key, rotate};
use rke_shared_store::{Addresses, keys_in_use};
use tokio::runtime::Runtime;

use crate::cli::store::StoreCommand;
use crate::protection::start_runtime;
use crate::settings::WrongSettings;
use crate::terminal::out_text;
use crate::words::counted;

pub(crate) fn run(command: StoreCommand) -> Result<()> {
    let StoreCommand::Key { file, rotate, address, protection } = command;
    let addresses = address.settle().map_err(WrongSettings)?;
    let is_new = !file.exists();
    // The process must be protected before it makes keys.
    let runtime = start_runtime(protection, 0, None)?;
    let rotated = match (rotate, addresses) {
        (true, Some(addresses)) => rotated(&runtime, &file, &addresses)?,
        (true, None) => {
            let why = "--rotate needs --store URL: only the store knows which keys are still in use";
            return Err(WrongSettings(anyhow!(why)).into());
        }
        (false, _) => add_key(&file)?,
    };
    out_text(&told(&file, is_new, rotated))
}

fn rotated(runtime: &Runtime, file: &Path, addresses: &Addresses) -> Result<Rotated> {
    if !file.exists() {
        bail!(
            "there is no key to rotate in {}. Make one with `rke store key` without --rotate",
            file.display()
        );
    }
    let in_use = runtime.block_on(keys_in_use(addresses, file));
    let in_use = in_use.context("no key was removed or added: the store cannot say which keys are in use")?;
    Ok(rotate(file, |key| in_use.contains(&key))?)
}

fn told(file: &Path, is_new: bool, Rotated { keys, removed }: Rotated) -> String {
    let file = file.display();
    if is_new {
        return format!(
            "{file} has a new key. Copy it to all machines that share the store; its mode stays 0600."
        );
    }
    let removed = match removed {
        0 => String::new(),
        removed => {
            format!(" {} that nothing is sealed under any longer left the file.", counted(removed, "key"))
        }
    };
    format!(
        "{file} has {}, and the first one, which is new, seals.{removed} Copy the file to all machines that share the store, then \
         reload them (SIGHUP).",
        counted(keys, "key")
    )
}
