//! The list of what the program is made of, in the format CycloneDX 1.5: each crate that it is linked from with the sum that
//! `Cargo.lock` has, Rust's standard library and glibc. Only what is linked is in it, as in `THIRD-PARTY.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Dist;
use super::steps::{printed, rfc_3339};
use crate::dependencies::{metadata, names_and_versions};

pub(super) fn sbom(dist: &Dist) -> Result<String> {
    let linked: BTreeSet<(String, String)> = names_and_versions()?.into_iter().collect();
    let metadata = metadata()?;
    let sums = sums(&fs::read_to_string(dist.sources.join("Cargo.lock")).context("cannot read Cargo.lock")?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let packages: Vec<&Value> =
        packages.iter().filter(|package| linked.contains(&name_and_version(package))).collect();
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        packages.iter().partition(|package| package["name"] == "rke");
    let program = own.first().context("cargo metadata has no rke")?;
    let mut components: Vec<Value> =
        others.iter().map(|package| component(package, "library", &sums)).collect();
    let system = [standard_library(dist)?, glibc()?];
    let mut dependencies = edges(&metadata, &packages);
    let uses_system = dependencies.iter_mut().find(|entry| entry["ref"] == reference(program));
    if let Some(list) = uses_system.and_then(|entry| entry["dependsOn"].as_array_mut()) {
        list.extend(system.iter().map(|component| component["bom-ref"].clone()));
    }
    components.extend(system);
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "timestamp": rfc_3339(&dist.epoch)?, "component": component(program, "application", &sums) },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn name_and_version(package: &Value) -> (String, String) {
    let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
    (text("name"), text("version"))
}

/// The package's URL, which is its name within the document too.
fn reference(package: &Value) -> String {
    let (name, version) = name_and_version(package);
    format!("pkg:cargo/{name}@{version}")
}

fn component(package: &Value, kind: &str, sums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = name_and_version(package);
    // Older crates write `MIT/Apache-2.0`.
    let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
    let mut component = json!({
        "type": kind, "bom-ref": reference(package), "name": name, "version": version,
        "licenses": [{ "expression": licence }], "purl": reference(package),
    });
    if let Some(sum) = sums.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    if let Some(repository) = package["repository"].as_str() {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// The sums in `Cargo.lock`. The workspace's own crates have none.
fn sums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: toml::Table = lock.parse().context("cannot understand Cargo.lock")?;
    let packages = lock["package"].as_array().into_iter().flatten();
    let sum = |package: &toml::Value| {
        let field = |name: &str| package.get(name)?.as_str().map(str::to_owned);
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    Ok(packages.filter_map(sum).collect())
}

/// Which of the packages is linked from which, as far as both are linked.
fn edges(metadata: &Value, packages: &[&Value]) -> Vec<Value> {
    let known: BTreeMap<&str, String> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, reference(package)))).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let mut edges: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for node in nodes {
        let Some(from) = node["id"].as_str().and_then(|id| known.get(id)) else { continue };
        let linked = node["deps"].as_array().into_iter().flatten().filter(|dependency| {
            dependency["dep_kinds"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        });
        let to = linked.filter_map(|dependency| known.get(dependency["pkg"].as_str()?));
        edges.entry(from).or_default().extend(to);
    }
    edges.into_iter().map(|(from, to)| json!({ "ref": from, "dependsOn": to })).collect()
}

fn standard_library(dist: &Dist) -> Result<Value> {
    let said = printed(Command::new("rustc").arg("--version").current_dir(&dist.sources))?;
    let version = said.split_whitespace().nth(1).context("rustc names no version")?;
    Ok(json!({
        "type": "library", "bom-ref": "rust-std", "name": "rust-std", "version": version,
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    }))
}

/// The C library of the machine that builds. Its version in brackets is Debian's.
fn glibc() -> Result<Value> {
    let said = printed(Command::new("ldd").arg("--version"))?;
    let version =
        said.lines().next().and_then(|line| line.split(['(', ')']).nth(1)).context("ldd names no version")?;
    let version = version.rsplit(' ').next().unwrap_or(version);
    Ok(json!({
        "type": "library", "bom-ref": "glibc", "name": "glibc", "version": version,
        "licenses": [{ "expression": "LGPL-2.1-or-later" }],
    }))
}
