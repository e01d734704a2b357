//! The tarball: the tree in a folder with the name of the version. It is unpacked over `/usr/local`, or anywhere.

use std::process::Command;

use anyhow::{Context, Result};

use super::Dist;
use super::steps::{run, tar};
use super::tree::Tree;

pub(super) fn pack(dist: &Dist, tree: &Tree) -> Result<String> {
    let folder = format!("rke-{}-x86_64-linux", dist.version);
    let archive = dist.out.join(format!("{folder}.tar"));
    let mut command = tar(&dist.epoch, 0);
    command.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(tree.folder());
    // The name of the folder goes in front of everything that is in the tree.
    run(command.arg(format!("--transform=s,^\\.,{folder},")).arg("."))?;
    // -n: neither name nor time.
    run(Command::new("gzip").args(["-n", "-9", "--force"]).arg(&archive))?;
    let name = archive.file_name().context("it has a name")?.to_string_lossy().into_owned();
    Ok(format!("{name}.gz"))
}
