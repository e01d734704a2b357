//! `cargo xtask valkey`: the tests of shared stores once more, with Valkey from Debian 13 where they start Redis. Debian 12 has
//! only Redis, so Valkey is unpacked into a folder below `target` with the libraries of its own Debian.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::debian_13::unpack;
use crate::{cargo_with, target_dir};

/// The programs that tests start, and those of Valkey that answer for them.
const PROGRAMS: [(&str, &str); 2] = [("redis-server", "valkey-server"), ("redis-cli", "valkey-cli")];

/// Where Debian keeps libraries and their loader.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

pub(crate) fn valkey() -> Result<()> {
    let programs = install()?;
    let path = std::env::var("PATH").context("there is no PATH")?;
    let path = format!("{}:{path}", programs.display());
    // The whole workspace: with one package alone, its libraries have other features, and are compiled again.
    let workspace = ["test", "--workspace", "--locked"];
    cargo_with(("PATH", &path), &[&workspace[..], &["--lib"]].concat())?;
    let shared = ["--test", "end_to_end", "--", "shared", "dev_network::", "net::"];
    cargo_with(("PATH", &path), &[&workspace[..], &shared].concat())
}

/// The folder with the programs, which is made once.
fn install() -> Result<PathBuf> {
    let folder = target_dir().join("valkey");
    let programs = folder.join("programs");
    if programs.exists() {
        return Ok(programs);
    }
    unpack("valkey-server", &folder)?;
    let unfinished = folder.join("unfinished");
    make_programs(&folder, &unfinished).context("cannot write the programs of Valkey")?;
    fs::rename(&unfinished, &programs).context("cannot name the folder of the programs of Valkey")?;
    Ok(programs)
}

/// Each program is a script that calls the loader of Valkey's own Debian, by the name that processes are told apart by.
fn make_programs(root: &Path, folder: &Path) -> Result<()> {
    let libraries = root.join(LIBRARIES);
    let loaders = root.join("loaders");
    fs::create_dir_all(folder)?;
    fs::create_dir_all(&loaders)?;
    for (name, program) in PROGRAMS {
        let loader = loaders.join(name);
        symlink(libraries.join("ld-linux-x86-64.so.2"), &loader)?;
        let script = folder.join(name);
        let program = root.join("usr/bin").join(program);
        let (loader, libraries) = (loader.display(), libraries.display());
        let text = format!(
            "#!/bin/sh\nexec {loader} --library-path {libraries} --argv0 {name} {} \"$@\"\n",
            program.display()
        );
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
