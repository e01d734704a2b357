//! The program that is shipped: linked statically, stripped, and without a path of the machine that built it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Dist;
use super::steps::{printed, run};
use crate::dependencies::TARGET;

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// A static program finds no function by its name while it runs. The crate getrandom looks for `getrandom` in that way, and
/// reads `/dev/urandom` where it finds none, which the sandbox forbids: it has to call the system directly.
const FLAGS: [&str; 3] =
    ["-Ctarget-feature=+crt-static", "-Cstrip=symbols", "--cfg=getrandom_backend=\"linux_getrandom\""];

/// Builds the program and returns its place. With a target of its own, the flags are not those of what only runs while
/// something is compiled, which cannot be static.
pub(super) fn build(dist: &Dist) -> Result<PathBuf> {
    let target = dist.sources.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--package", "rke", "--target", TARGET, "--profile", &dist.profile]);
    cargo.current_dir(&dist.sources).env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", &target);
    let prefixes = prefixes(&dist.sources)?;
    let maps = prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let flags = FLAGS.map(str::to_owned).into_iter().chain(maps);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join(SEPARATOR));
    // For the C and assembler files of ring and psm.
    let maps = prefixes.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    cargo.env("CFLAGS", maps.collect::<Vec<_>>().join(" ")).env("SOURCE_DATE_EPOCH", &dist.epoch);
    run(&mut cargo)?;
    // cargo's name for the folder of its profile `dev`.
    let folder = if dist.profile == "dev" { "debug" } else { &dist.profile };
    Ok(target.join(TARGET).join(folder).join("rke"))
}

/// The folders whose names compilers may note, and what they note instead.
fn prefixes(sources: &Path) -> Result<[(PathBuf, &'static str); 3]> {
    let home = std::env::var_os("HOME").context("the variable HOME is missing")?;
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from);
    let sysroot = printed(Command::new("rustc").args(["--print", "sysroot"]).current_dir(sources))?;
    Ok([(sources.to_owned(), "/rke"), (cargo, "/cargo"), (sysroot.trim().into(), "/rust")])
}
