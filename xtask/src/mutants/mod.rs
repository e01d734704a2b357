//! `cargo xtask mutants`: has cargo-mutants change the lines that a change touches, one at a time, and looks whether a unit test
//! notices. By hand, and no part of `cargo xtask test`: each mutant takes a build.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::target_dir;

/// What the change is compared with unless something else is named.
const BASE: &str = "main";

const INSTALL: &str = "cargo install cargo-mutants --locked";

/// A mutant may make a loop endless; no unit tests of one package take so long.
const TEST_SECONDS: &str = "120";

/// What has unit tests in a library, and what in a program: cargo refuses the flag of the one for the other.
const KINDS: [(&str, &str, &str); 2] =
    [("libraries", "src/lib.rs", "--lib"), ("programs", "src/main.rs", "--bins")];

/// Mutates what differs from where this branch has left `base`, what is not committed included.
pub(crate) fn mutants(base: Option<&str>) -> Result<()> {
    ensure!(is_installed(), "cargo-mutants is missing; install it with: {INSTALL}");
    let base = base.unwrap_or(BASE);
    let fork = git(&["merge-base", base, "HEAD"])?;
    let diff = git(&["diff", "--no-ext-diff", fork.trim()])?;
    let folders = folders(&diff);
    ensure!(!folders.is_empty(), "nothing that has unit tests differs from {base}");
    let place = target_dir().join("mutants");
    std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let change = place.join("change.diff");
    std::fs::write(&change, &diff).with_context(|| format!("cannot write {}", change.display()))?;
    let mut failed = Vec::new();
    for (kind, root, flag) in KINDS {
        let packages: Vec<&str> =
            folders.iter().filter(|folder| has(folder, root)).map(|folder| package(folder)).collect();
        let output = place.join(kind);
        if !packages.is_empty() && !mutate(&change, &packages, flag, &output)? {
            failed.push(output.join("mutants.out").display().to_string());
        }
    }
    ensure!(failed.is_empty(), "unit tests do not notice all mutants, or fail: see {}", failed.join(", "));
    Ok(())
}

/// Whether the unit tests of these packages notice all mutants of a change.
fn mutate(change: &Path, packages: &[&str], flag: &str, output: &Path) -> Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["mutants", "--jobs", "1", "--timeout", TEST_SECONDS, "--in-diff"]).arg(change);
    command.arg("--output").arg(output).args(packages.iter().flat_map(|name| ["--package", name]));
    command.args(["--", flag, "--locked"]);
    // What is mutated is a copy, which takes its dependencies from here once they are built.
    command.env("CARGO_TARGET_DIR", target_dir().join("mutants/target"));
    eprintln!("cargo xtask: {command:?}");
    Ok(command.status().context("cannot run cargo mutants")?.success())
}

fn is_installed() -> bool {
    let mut command = Command::new(env!("CARGO"));
    let asked = command.args(["mutants", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// The folders of the packages whose sources a change touches.
fn folders(diff: &str) -> BTreeSet<&str> {
    let files = diff.lines().filter_map(|line| line.strip_prefix("+++ b/"));
    let sources = files.filter(|file| file.ends_with(".rs"));
    sources.filter_map(|file| file.split_once("/src/").map(|(folder, _)| folder)).collect()
}

fn has(folder: &str, root: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join(root).exists()
}

/// The name of the package in a folder: the folder's, except that of the fuzz targets.
fn package(folder: &str) -> &str {
    match folder {
        "fuzz" => "rke-fuzz",
        folder => folder.rsplit('/').next().unwrap_or(folder),
    }
}

fn git(arguments: &[&str]) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output =
        Command::new("git").args(arguments).current_dir(folder).output().context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).context("the change is not text")
}

#[cfg(test)]
mod tests;
