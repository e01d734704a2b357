//! `cargo xtask erase`: builds the programs and has `rke-scan` look through their memory, the release
//! build and the debug build, and one that was built to break the rules. `docs/erasure.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{DEBUG, RELEASE, cargo, need, target_dir};

/// Where cargo leaves the release build of the program, and where a copy of it is kept.
const BUILT: &str = "release/rke";
const KEPT_RELEASE: &str = "erase/rke-release";

/// How often each scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// 20 times, as in every test run.
    Ordinary,
    /// 200 times.
    Long,
}

/// What is scanned.
pub(crate) struct Extent {
    pub(crate) length: Length,
    /// The limits of this machine that are known: scans that they rule out do not fail the run.
    pub(crate) without: Vec<String>,
}

impl Extent {
    /// From `--long` and any number of `--without LIMIT`. `None` for anything else.
    pub(crate) fn parse(mut arguments: &[&str]) -> Option<Self> {
        let (mut length, mut without) = (Length::Ordinary, Vec::new());
        loop {
            arguments = match arguments {
                [] => return Some(Self { length, without }),
                ["--long", rest @ ..] => {
                    length = Length::Long;
                    rest
                }
                ["--without", limit, rest @ ..] => {
                    without.push((*limit).to_owned());
                    rest
                }
                _ => return None,
            };
        }
    }
}

impl Length {
    fn repetitions(self) -> &'static str {
        match self {
            Self::Ordinary => "20",
            Self::Long => "200",
        }
    }
}

/// Programs that the scenarios run beside the project's own, and the Debian packages that hold them.
pub(crate) const NEEDED: [(&str, &str); 4] =
    [("gcore", "gdb"), ("mkswap", "util-linux"), ("swapon", "mount"), ("prlimit", "util-linux")];

pub(crate) fn erase(extent: &Extent) -> Result<()> {
    need_what_scans_need()?;
    cargo(&["build", "--locked", "-p", "rke"])?;
    let programs = Programs::build()?;
    Controls::build()?.scan(extent.length)?;
    programs.scan_release(extent)?;
    programs.scan_debug(extent)
}

/// Sees to it that the scans can be made, or says what is missing.
fn need_what_scans_need() -> Result<()> {
    for (program, package) in NEEDED {
        need(program, package)?;
    }
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => bail!("reading another process's memory needs root; run it with: sudo -E"),
    }
}

/// The program, in which nothing may be found.
pub(crate) struct Programs {
    debug: PathBuf,
    release: PathBuf,
}

/// The program built to break the rules, in which something has to be found.
pub(crate) struct Controls(PathBuf);

impl Programs {
    /// Builds them, and what scans them. The debug build of the program is there already.
    pub(crate) fn build() -> Result<Self> {
        let debug = keep(DEBUG, "erase/rke-debug")?;
        cargo(&RELEASE)?;
        Ok(Self { debug, release: keep(BUILT, KEPT_RELEASE)? })
    }

    pub(crate) fn scan_release(&self, extent: &Extent) -> Result<()> {
        scan("erase", &self.release, extent.length, &extent.without)
    }

    pub(crate) fn scan_debug(&self, extent: &Extent) -> Result<()> {
        scan("erase", &self.debug, extent.length, &extent.without)
    }
}

impl Controls {
    /// Builds it, after [`Programs::build`].
    pub(crate) fn build() -> Result<Self> {
        // Where nothing is optimised, what is left in registers does not stay for long enough to be found.
        cargo(&["build", "--release", "--locked", "-p", "rke", "--features", "controls"])?;
        let controls = keep(BUILT, "erase/rke-controls")?;
        // It must not lie where people look for the program.
        keep(KEPT_RELEASE, BUILT)?;
        Ok(Self(controls))
    }

    pub(crate) fn scan(&self, length: Length) -> Result<()> {
        scan("controls", &self.0, length, &[])
    }
}

/// A copy of a program that the next build does not replace.
fn keep(built: &str, name: &str) -> Result<PathBuf> {
    let target = target_dir();
    let (from, to) = (target.join(built), target.join(name));
    std::fs::create_dir_all(target.join("erase")).context("cannot make a folder for programs")?;
    // One that still runs from an earlier time cannot be written to.
    let _ = std::fs::remove_file(&to);
    std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(to)
}

fn scan(what: &str, program: &Path, length: Length, without: &[String]) -> Result<()> {
    eprintln!("cargo xtask: rke-scan {what} --program {}", program.display());
    let mut command = Command::new(target_dir().join("release/rke-scan"));
    command.args([what, "--repetitions", length.repetitions(), "--program"]).arg(program);
    command.args(without.iter().flat_map(|limit| ["--without", limit]));
    let output = command.output().context("cannot run rke-scan")?;
    println!("{what} of {}:\n{}", program.display(), String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    match output.status.success() {
        true => Ok(()),
        false => bail!("rke-scan {what} failed for {}", program.display()),
    }
}
