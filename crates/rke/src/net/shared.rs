//! What the daemons and the instances of the Content Server have in common where there are several of either: a store, the keys that
//! seal what is in it, a token, and the master secrets.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rke_host::durable::write_new;
use rke_secret::Secret;
use rke_shared_store::key_file::add_key;

use super::files::{script, write, write_script};
use super::layout::Network;
use super::part::Part;
use crate::local_store::{CONFIGURATION, LocalStore};
use crate::words::hex;

/// The keys for what is in the store, in the folder of each part that uses it.
const KEY_FILE: &str = "store.key";

/// The token that all daemons require, in the folder of each.
const TOKEN: &str = "token";

/// Makes the folder of the store, and puts what they share into those of daemons and Content Servers.
pub(super) fn make(network: &Network, store: &LocalStore, part: &Part) -> Result<()> {
    write(&part.folder.join(CONFIGURATION), &store.configuration())?;
    write_script(&part.folder, &script(&format!("{} {CONFIGURATION}", store.program)))?;
    let (servers, daemons) = (network.content_servers(), network.daemons());
    let make_key = |file: &Path| Ok(add_key(file).map(drop)?);
    give_all(&servers, KEY_FILE, make_key)?;
    give_all(&daemons, KEY_FILE, make_key)?;
    give_all(&daemons, TOKEN, make_token)
}

/// The settings of a part that uses the store.
pub(super) fn settings(store: &LocalStore) -> String {
    format!(
        "# The store that it shares with others, and the keys that seal what is in it.\n\
         store = \"{}\"\nstore-key-file = \"{KEY_FILE}\"\n",
        store.url()
    )
}

/// The settings of a daemon that uses it.
pub(super) fn settings_of_daemon(store: &LocalStore) -> String {
    let token = "# The token that requests must carry, the same at all daemons.\nshared-token";
    format!("{}{token} = \"{TOKEN}\"\n", settings(store))
}

/// The file of the token that a daemon requires, where daemons share one.
pub(super) fn token_file(network: &Network, daemon: &Part) -> Option<PathBuf> {
    network.store().map(|_| daemon.folder.join(TOKEN))
}

/// Gives the master secrets of the Content Server that has preloaded to the other instances that have none.
pub(super) fn hand_on_secrets(network: &Network) -> Result<()> {
    for server in network.content_servers().iter().skip(1).filter(|server| server.is_here()) {
        let data = server.folder.join("data");
        if !data.exists() {
            let copied = copy_whole(&network.preloaded(), &data);
            copied.with_context(|| format!("cannot copy the master secrets to {}", data.display()))?;
        }
    }
    Ok(())
}

/// Copies a folder, whole or not at all.
fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    let unfinished = to.with_extension("unfinished");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => copy_folder(from, &unfinished)?,
    }
    fs::rename(unfinished, to)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &copy)?,
            false => fs::copy(entry.path(), copy).map(drop)?,
        }
    }
    Ok(())
}

/// Makes a file in the folder of the first part, and copies it to the others.
fn give_all(parts: &[Part], name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut files = parts.iter().map(|part| part.folder.join(name));
    let Some(first) = files.next() else { return Ok(()) };
    make(&first)?;
    for file in files {
        fs::copy(&first, file)?;
    }
    Ok(())
}

fn make_token(file: &Path) -> Result<()> {
    let token = Secret::<32>::random()?;
    let folder = file.parent().unwrap_or(Path::new("."));
    Ok(write_new(folder, file, |file| token.expose(|bytes| writeln!(file, "{}", hex(bytes))))?)
}
