//! `cargo xtask erase`: builds the programs and has `rke-scan` look through their memory, the release
//! build and the debug build, and one that was built to break the rules. `docs/erasure.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{DEBUG, RELEASE, cargo, need, target_dir};

/// How often each scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// 20 times, as in every test run.
    Ordinary,
    /// 200 times.
    Long,
}

/// Programs that the scenarios run beside the project's own, and the Debian packages that hold them.
const NEEDED: [(&str, &str); 4] =
    [("gcore", "gdb"), ("mkswap", "util-linux"), ("swapon", "mount"), ("prlimit", "util-linux")];

pub(crate) fn erase(length: Length) -> Result<()> {
    need_what_scans_need()?;
    cargo(&["build", "--locked", "-p", "rke"])?;
    Programs::build()?.scan(length)
}

/// Sees to it that the scans can be made, or says what is missing.
pub(crate) fn need_what_scans_need() -> Result<()> {
    for (program, package) in NEEDED {
        need(program, package)?;
    }
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => bail!("reading another process's memory needs root; run it with: sudo -E"),
    }
}

/// The programs that are scanned.
pub(crate) struct Programs {
    controls: PathBuf,
    debug: PathBuf,
    release: PathBuf,
}

impl Programs {
    /// Builds them, and what scans them. The debug build of the program is there already.
    pub(crate) fn build() -> Result<Self> {
        let debug = keep(DEBUG, "erase/rke-debug")?;
        // Where nothing is optimised, what is left in registers does not stay for long enough to be found.
        cargo(&["build", "--release", "--locked", "-p", "rke", "--features", "controls"])?;
        let controls = keep("release/rke", "erase/rke-controls")?;
        cargo(&RELEASE)?;
        let release = keep("release/rke", "erase/rke-release")?;
        Ok(Self { controls, debug, release })
    }

    /// Scans all of them.
    pub(crate) fn scan(&self, length: Length) -> Result<()> {
        let repetitions = match length {
            Length::Ordinary => "20",
            Length::Long => "200",
        };
        scan("controls", &self.controls, repetitions)?;
        scan("erase", &self.release, repetitions)?;
        scan("erase", &self.debug, repetitions)
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

fn scan(what: &str, program: &Path, repetitions: &str) -> Result<()> {
    eprintln!("cargo xtask: rke-scan {what} --program {}", program.display());
    let mut command = Command::new(target_dir().join("release/rke-scan"));
    command.args([what, "--repetitions", repetitions, "--program"]).arg(program);
    let output = command.output().context("cannot run rke-scan")?;
    println!("{what} of {}:\n{}", program.display(), String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    match output.status.success() {
        true => Ok(()),
        false => bail!("rke-scan {what} failed for {}", program.display()),
    }
}
