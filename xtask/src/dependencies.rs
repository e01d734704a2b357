//! What the shipped program is linked from, and what `deny.toml` allows of it. `cargo xtask deny` has cargo-deny check
//! that in full; the tests at the end check what takes no time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::cargo;

/// What the program is shipped for, as far as dependencies differ.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A crate that the shipped program is linked from.
pub(crate) struct Linked {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) licence: String,
    /// Its repository, or its page at crates.io.
    pub(crate) home: String,
    /// Where its source lies.
    pub(crate) folder: PathBuf,
}

/// Installs cargo-deny where it is missing, which takes minutes, and runs its checks except the one of advisories, whose
/// list has to be fetched from GitHub.
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

/// Names and versions of what is linked. Only `cargo tree` knows the features of one package by itself, and leaves out
/// what only runs while something is compiled.
fn names_and_versions() -> Result<Vec<(String, String)>> {
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

/// All packages that this workspace has anything to do with, as `cargo metadata` describes them.
fn packages() -> Result<Vec<Value>> {
    let text = printed(&["metadata", "--locked", "--format-version=1", "--filter-platform", TARGET])?;
    let mut metadata: Value =
        serde_json::from_str(&text).context("cannot read what cargo metadata prints")?;
    match metadata["packages"].take() {
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
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn rules() -> toml::Table {
        include_str!("../../deny.toml").parse().expect("TOML")
    }

    fn allowed(rules: &toml::Table) -> Vec<&str> {
        let allowed = rules["licenses"]["allow"].as_array().expect("a list");
        allowed.iter().filter_map(toml::Value::as_str).collect()
    }

    #[test]
    fn every_dependency_is_from_crates_io_and_under_a_licence_that_deny_toml_allows() {
        let rules = rules();
        for package in packages().expect("packages") {
            let name = package["name"].as_str().expect("a name");
            assert!(package["source"].is_null() || package["source"] == REGISTRY, "{name} is from elsewhere");
            let licence = package["license"].as_str().unwrap_or_default();
            assert!(allows(licence, &allowed(&rules)), "{name} is under {licence:?}");
        }
    }

    #[test]
    fn the_program_has_one_version_of_each_crate_except_those_that_deny_toml_names() {
        let rules = rules();
        let skipped = rules["bans"]["skip"].as_array().expect("a list");
        let skipped: Vec<&str> = skipped.iter().filter_map(|skip| skip["crate"].as_str()).collect();
        let mut once = BTreeSet::new();
        for Linked { name, version, .. } in linked().expect("crates") {
            let is_skipped = skipped.iter().any(|skip| {
                let of = skip.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('@'));
                of.is_some_and(|of| version.starts_with(&format!("{of}.")))
            });
            assert!(is_skipped || once.insert(name.clone()), "{name} {version} is a second version");
        }
    }

    #[test]
    fn a_licence_is_chosen_as_the_expression_says() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "MIT AND ISC",
            "(MIT OR GPL-3.0) AND ISC",
            "GPL-3.0 OR MIT AND ISC",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(allows(good, &allowed), "{good}");
        }
        for wrong in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "(MIT", "MIT-0"]
        {
            assert!(!allows(wrong, &allowed), "{wrong}");
        }
    }
}
