//! `cargo xtask dist --test`: the packages in a Debian and an Ubuntu of their own, from the installation to the last file that a
//! purge removes, and the path of an operator through the book.

mod container;
mod image;
mod installed;
mod operator;

use anyhow::{Result, ensure};

use self::container::{Container, SYSTEMS};
use super::{Dist, deb};
use crate::timed;

/// The version that the tests upgrade to. It is the same program.
const NEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");

/// Tests what `cargo xtask dist` has made last.
pub(super) fn test(dist: &Dist) -> Result<()> {
    ensure!(dist.out.join("SHA256SUMS").exists(), "there are no packages to test: run cargo xtask dist");
    timed("the image", || image::test(dist))?;
    let packages = [dist.out.join(deb::pack(dist)?), dist.out.join(deb::pack_as(dist, NEXT)?)];
    for system in &SYSTEMS {
        timed(&format!("{}: install, use, upgrade, purge", system.release), || {
            installed::test(&Container::boot(dist, system, "installed", &packages)?)
        })?;
        timed(&format!("{}: the operator's path", system.release), || {
            operator::test(dist, &Container::boot(dist, system, "operator", &packages)?)
        })?;
    }
    Ok(())
}

/// The commands of the operator's path.
#[cfg(test)]
pub(super) fn path(dist: &Dist) -> Result<Vec<String>> {
    operator::commands(dist)
}
