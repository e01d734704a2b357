//! `cargo xtask dist`: what a release is shipped as. The program is linked statically and has no path of this machine in it; a
//! tarball, a Debian package and an image are made of one tree of files. The same commit gives the same bytes.

mod build;
mod deb;
mod image;
mod root;
mod sbom;
mod steps;
mod tarball;
mod tree;
mod twice;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::build::build;
use self::steps::printed;
use self::tree::Tree;
use crate::timed;

/// The folder of packages in the target folder, which tests in a Debian root share.
const OUT: &str = "target/dist";

/// What is made, and of what.
struct Dist {
    /// The top of the sources.
    sources: PathBuf,
    /// Where the packages go.
    out: PathBuf,
    /// cargo's profile: `release`, or another one to try the packages with.
    profile: String,
    version: String,
    /// The time of the commit, in Unix seconds. Every file has it.
    epoch: String,
}

/// `cargo xtask dist [--profile PROFILE] [--check]`, and `cargo xtask dist --test` for what the former has made.
pub(crate) fn dist(arguments: &[&str]) -> Result<()> {
    match arguments {
        [] => Dist::new("release")?.make(),
        ["--profile", profile] => Dist::new(profile)?.make(),
        ["--check"] => twice::check("release"),
        ["--profile", profile, "--check"] => twice::check(profile),
        ["--test"] => root::test(&Dist::new("release")?),
        _ => bail!("usage: cargo xtask dist [--profile PROFILE] [--check], or cargo xtask dist --test"),
    }
}

impl Dist {
    fn new(profile: &str) -> Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources = sources.canonicalize().context("cannot find the sources")?;
        let mut log = Command::new("git");
        let epoch = printed(log.args(["log", "-1", "--format=%ct"]).current_dir(&sources))?;
        Ok(Self {
            out: sources.join(OUT),
            sources,
            profile: profile.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            epoch: epoch.trim().into(),
        })
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        let program = timed("static build", || build(self))?;
        let sbom = sbom::sbom(self)?;
        let tree = Tree::stage(self, &program, &sbom)?;
        let made = [
            self.write_sbom(&sbom)?,
            timed("tarball", || tarball::pack(self, &tree))?,
            timed("Debian package", || deb::pack(self))?,
            timed("image", || image::pack(self, &tree))?,
        ];
        let sums = steps::sums(&self.out, &made)?;
        fs::write(self.out.join("SHA256SUMS"), &sums).context("cannot write the sums")?;
        print!("in {}:\n{sums}", self.out.display());
        Ok(())
    }

    fn write_sbom(&self, sbom: &str) -> Result<String> {
        let name = format!("rke-{}.cdx.json", self.version);
        fs::write(self.out.join(&name), sbom).context("cannot write the list of components")?;
        Ok(name)
    }
}

#[cfg(test)]
mod tests;
