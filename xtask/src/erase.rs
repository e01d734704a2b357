//! `cargo xtask erase`: builds the programs and scans their memory with `rke-scan`: an optimised
//! build, the debug build, and one with fault injection. `docs/erasure.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{DEBUG, THIN, cargo, need, target_dir};

/// The place for a copy of the optimised build.
const KEPT_OPTIMISED: &str = "erase/rke-optimised";

/// The kinds of secret memory. Both are scanned at the same time, because scenarios wait for time-outs and expiries more than
/// they compute.
const MEMORIES: [&str; 2] = ["secretmem", "locked"];

/// How often each scenario is run, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// 5 times, as in every test run, with a build that does not take long.
    Ordinary,
    /// 200 times, with what is shipped.
    Long,
}

/// The target of a scan.
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

    /// What [`parse`](Self::parse) makes this of.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        let long = (self.length == Length::Long).then_some("--long");
        long.into_iter().chain(self.without.iter().flat_map(|limit| ["--without", limit])).collect()
    }
}

impl Length {
    fn repetitions(self) -> &'static str {
        match self {
            Self::Ordinary => "5",
            Self::Long => "200",
        }
    }

    /// The profile of Cargo.toml, and its folder in cargo's target folder.
    fn profile(self) -> &'static str {
        match self {
            Self::Ordinary => THIN,
            Self::Long => "release",
        }
    }
}

/// Programs that the scenarios run in addition to the project's own, and the Debian packages that hold them.
pub(crate) const NEEDED: [(&str, &str); 4] =
    [("gcore", "gdb"), ("mkswap", "util-linux"), ("swapon", "mount"), ("prlimit", "util-linux")];

pub(crate) fn erase(extent: &Extent) -> Result<()> {
    need_what_scans_need()?;
    let debug = Program::debug()?;
    let optimised = Program::optimised(extent.length)?;
    FaultInjection::build(extent.length)?.scan(extent.length)?;
    optimised.scan(extent)?;
    debug.scan(extent)
}

/// Makes the scans possible, or reports what is missing.
fn need_what_scans_need() -> Result<()> {
    for (program, package) in NEEDED {
        need(program, package)?;
    }
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => bail!("reading another process's memory needs root; run it with: sudo -E"),
    }
}

/// A build of the program in which nothing may be found.
pub(crate) struct Program(PathBuf);

/// The program built with fault injection, in which the scans have to find something.
pub(crate) struct FaultInjection(PathBuf);

impl Program {
    /// The debug build of the program alone: the tests' build has features that only they use.
    pub(crate) fn debug() -> Result<Self> {
        cargo(&["build", "--locked", "-p", "rke"])?;
        Ok(Self(keep(DEBUG, "erase/rke-debug")?))
    }

    /// The debug build that the tests have left. The optimiser leaves out copies of uninitialised bytes, which may be
    /// remains of a secret: this build shows them.
    pub(crate) fn of_the_tests() -> Result<Self> {
        Ok(Self(keep(DEBUG, "erase/rke-of-the-tests")?))
    }

    /// The optimised build, with which the scanner is built: the last step of each uses only one core.
    pub(crate) fn optimised(length: Length) -> Result<Self> {
        let profile = length.profile();
        cargo(&["build", "--profile", profile, "--locked", "-p", "rke", "-p", "rke-scan"])?;
        Ok(Self(keep(&format!("{profile}/rke"), KEPT_OPTIMISED)?))
    }

    pub(crate) fn scan(&self, extent: &Extent) -> Result<()> {
        let limits = extent.without.iter().flat_map(|limit| ["--without", limit]);
        let of = |memory| ["--memory", memory].into_iter().chain(limits.clone()).collect();
        scan("erase", &self.0, extent.length, &MEMORIES.map(of))
    }
}

impl FaultInjection {
    /// Builds it, after [`Program::optimised`].
    pub(crate) fn build(length: Length) -> Result<Self> {
        // An optimised build, because unoptimised code overwrites the registers too soon for a scan to find them.
        let profile = length.profile();
        cargo(&["build", "--profile", profile, "--locked", "-p", "rke", "--features", "fault-injection"])?;
        let built = format!("{profile}/rke");
        let program = keep(&built, "erase/rke-fault-injection")?;
        // It must not stay at the usual path of the program.
        keep(KEPT_OPTIMISED, &built)?;
        Ok(Self(program))
    }

    pub(crate) fn scan(&self, length: Length) -> Result<()> {
        scan("faults", &self.0, length, &[Vec::new()])
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

/// Runs the scanner with each of these sets of arguments, all at the same time, and shows what each printed.
fn scan(what: &str, program: &Path, length: Length, sets: &[Vec<&str>]) -> Result<()> {
    let start = |further: &Vec<&str>| {
        eprintln!("cargo xtask: rke-scan {what} --program {} {}", program.display(), further.join(" "));
        let mut command = Command::new(target_dir().join(length.profile()).join("rke-scan"));
        command.args([what, "--repetitions", length.repetitions(), "--program"]).arg(program).args(further);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot run rke-scan")
    };
    let running: Vec<_> = sets.iter().map(start).collect();
    let mut all_passed = true;
    for scanner in running {
        let output = scanner?.wait_with_output().context("cannot read what rke-scan prints")?;
        println!("{what} of {}:\n{}", program.display(), String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        all_passed &= output.status.success();
    }
    ensure!(all_passed, "rke-scan {what} failed for {}", program.display());
    Ok(())
}
