//! The Debian package, which cargo-deb makes as `[package.metadata.deb]` in `crates/rke/Cargo.toml` says.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::Dist;
use super::steps::run;
use crate::cargo;

/// The version of the package after that of the program.
const REVISION: &str = "1";

pub(super) fn pack(dist: &Dist) -> Result<String> {
    pack_as(dist, &format!("{}-{REVISION}", dist.version))
}

/// The same with another version, so that tests have something to upgrade to.
pub(super) fn pack_as(dist: &Dist, version: &str) -> Result<String> {
    need_cargo_deb()?;
    let name = format!("rke_{version}_amd64.deb");
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "deb",
        "--quiet",
        "--no-build",
        "--no-strip",
        "--package",
        "rke",
        "--deb-version",
        version,
    ]);
    command.arg("--output").arg(dist.out.join(&name));
    run(command.current_dir(&dist.sources).env("SOURCE_DATE_EPOCH", &dist.epoch))?;
    Ok(name)
}

/// Installs cargo-deb if it is missing, which takes minutes.
fn need_cargo_deb() -> Result<()> {
    let mut version = Command::new(env!("CARGO"));
    version.args(["deb", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    cargo(&["install", "cargo-deb", "--locked"])
}
