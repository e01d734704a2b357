//! The crates that the shipped program is linked from, and what `deny.toml` permits. `cargo xtask deny` runs
//! cargo-deny for the full check; the tests at the end do the quick part.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::cargo;

/// The targets of the shipped program, as far as dependencies differ.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A crate that the shipped program is linked from.
pub(crate) struct Linked {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) licence: String,
    /// Its repository, or its page at crates.io.
    pub(crate) home: String,
    /// The place of its source.
    pub(crate) folder: PathBuf,
}

/// Installs cargo-deny if it is missing, which takes minutes, and runs its checks except the one for advisories,
/// whose list must be fetched from GitHub.
pub(crate) fn deny() -> Result<()> {
    let asked = Command::new(env!("CARGO")).args(["deny", "--version"]).stdout(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        cargo(&["install", "cargo-deny", "--locked"])?;
    }
    cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"])
}

/// The crates of others that the program `rke` is linked from, by name and version.
pub(crate) fn linked() -> Result<Vec<Linked>> {
    let packages = packages()?;
    let mut linked: Vec<Linked> =
        names_and_versions()?.iter().filter_map(|(name, version)| find(&packages, name, version)).collect();
    linked.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(linked)
}

/// Whether a licence may be chosen from this SPDX expression so that all it asks for is among `allowed`.
pub(crate) fn allows(expression: &str, allowed: &[&str]) -> bool {
    // Older crates write `MIT/Apache-2.0`.
    let parsed = Expression::parse_mode(expression, ParseMode::LAX);
    parsed.is_ok_and(|parsed| parsed.evaluate(|wanted| allowed.contains(&wanted.to_string().as_str())))
}

/// Names and versions of the linked crates. Only `cargo tree` knows the features of a single package, and omits
/// crates that run only at compile time.
pub(crate) fn names_and_versions() -> Result<Vec<(String, String)>> {
    let tree = ["tree", "--locked", "-p", "rke", "--edges", "normal,no-proc-macro", "--target", TARGET];
    let printed = printed(&[&tree[..], &["--prefix", "none", "--no-dedupe", "--format", "{p}"]].concat())?;
    let mut found: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap_or(rest).to_owned()))
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// What cargo knows of this workspace and of everything that it has to do with.
pub(crate) fn metadata() -> Result<Value> {
    let text = printed(&["metadata", "--locked", "--format-version=1", "--filter-platform", TARGET])?;
    serde_json::from_str(&text).context("cannot read what cargo metadata prints")
}

/// All packages that this workspace has anything to do with, as `cargo metadata` describes them.
fn packages() -> Result<Vec<Value>> {
    match metadata()?["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => Ok(Vec::new()),
    }
}

/// A package of others. `None` for the workspace's own.
fn find(packages: &[Value], name: &str, version: &str) -> Option<Linked> {
    let package = packages.iter().find(|package| {
        package["name"] == name && package["version"] == version && !package["source"].is_null()
    })?;
    let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?.to_owned();
    let home = match text("repository") {
        none if none.is_empty() => format!("https://crates.io/crates/{name}"),
        repository => repository,
    };
    let (name, version) = (name.to_owned(), version.to_owned());
    Some(Linked { name, version, licence: text("license"), home, folder })
}

fn printed(arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO")).args(arguments).stderr(Stdio::inherit()).output();
    let output = output.context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo {} failed", arguments.join(" "));
    String::from_utf8(output.stdout).context("cargo printed something other than text")
}

#[cfg(test)]
mod tests;
