//! Dependencies between the crates go one way, as ARCHITECTURE.md draws it.

use std::collections::BTreeSet;
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
