//! Dependencies between the crates go one way, as ARCHITECTURE.md draws it, and so do those between the modules of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const EDGES: [(&str, &[&str]); 14] = [
    ("rke-client", &[]),
    ("rke-secret", &[]),
    ("rke-proto", &["rke-secret"]),
    ("rke-host", &["rke-proto", "rke-secret"]),
    ("rke-engine", &["rke-host", "rke-proto", "rke-secret"]),
    ("rke-daemon", &["rke-engine", "rke-host", "rke-proto", "rke-secret"]),
    ("rke-raida", &["rke-host", "rke-proto", "rke-secret"]),
    ("rke", &["rke-client", "rke-daemon", "rke-engine", "rke-host", "rke-proto", "rke-raida", "rke-secret"]),
    ("rke-fuzz", &["rke-proto", "rke-secret"]),
    (
        "rke-attack",
        &["rke-client", "rke-daemon", "rke-engine", "rke-host", "rke-proto", "rke-raida", "rke-secret"],
    ),
    ("rke-bench", &["rke-daemon", "rke-engine", "rke-host", "rke-proto", "rke-raida", "rke-secret"]),
    ("rke-instructions", &["rke-daemon", "rke-engine", "rke-fuzz", "rke-host", "rke-proto", "rke-secret"]),
    ("rke-scan", &["rke-host", "rke-proto", "rke-raida", "rke-secret"]),
    ("xtask", &[]),
];

#[test]
fn crates_depend_in_one_direction() {
    let arguments = ["metadata", "--no-deps", "--format-version=1", "--locked"];
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert_eq!(packages.len(), EDGES.len());
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let ours: BTreeSet<&str> =
            dependencies.filter_map(|d| d["name"].as_str()).filter(|d| d.starts_with("rke")).collect();
        let (_, allowed) = EDGES.iter().find(|(known, _)| *known == name).expect("a known crate");
        assert!(ours.iter().all(|d| allowed.contains(d)), "{name} depends on {ours:?}");
    }
}

/// For each module at the top of a crate, those that its paths name. Tests may name any.
type Modules = BTreeMap<String, BTreeSet<String>>;

/// The sources below a folder, those of tests left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let below = entries.filter(|path| path.file_stem().is_some_and(|name| name != "tests"));
    below.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

fn modules(src: &Path) -> Modules {
    let mut modules = Modules::new();
    for source in sources(src) {
        let inside = source.strip_prefix(src).expect("a path below").with_extension("");
        let module = inside.iter().next().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&source).expect("a source");
        let program = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code = program.lines().filter(|line| !line.trim_start().starts_with("//"));
        let paths = code.flat_map(|line| line.split("crate::").skip(1));
        let name =
            |path: &str| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
        modules.entry(module).or_default().extend(paths.filter_map(name));
    }
    modules.retain(|module, _| !["lib", "main"].contains(&module.as_str()));
    let known: BTreeSet<String> = modules.keys().cloned().collect();
    for (module, named) in &mut modules {
        named.retain(|other| other != module && known.contains(other));
    }
    modules
}

/// What is left when those that name none of the others are taken away, until there are no more such.
fn in_circles(mut modules: Modules) -> Modules {
    loop {
        let left: BTreeSet<String> = modules.keys().cloned().collect();
        modules.values_mut().for_each(|named| named.retain(|other| left.contains(other)));
        modules.retain(|_, named| !named.is_empty());
        if modules.len() == left.len() {
            return modules;
        }
    }
}

#[test]
fn no_modules_depend_on_each_other_in_a_circle() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for member in fs::read_dir(crates).expect("a folder") {
        let member = member.expect("an entry").path();
        let circles = in_circles(modules(&member.join("src")));
        assert!(circles.is_empty(), "{}: {circles:#?}", member.display());
    }
}

#[test]
fn a_circle_is_seen() {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let modules = |last| {
        [("a", named(&["b"])), ("b", named(&["c"])), ("c", named(last))]
            .map(|(name, all)| (name.to_owned(), all))
    };
    assert!(in_circles(modules(&["a"]).into()).len() == 3 && in_circles(modules(&[]).into()).is_empty());
}
