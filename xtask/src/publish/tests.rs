use std::fs;

use serde_json::Value;

use super::*;
use crate::dependencies::metadata;

/// Where the project is. Every manifest names it.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

const CRATES: [&str; 9] = [
    "rke",
    "rke-client",
    "rke-daemon",
    "rke-engine",
    "rke-host",
    "rke-proto",
    "rke-raida",
    "rke-secret",
    "rke-shared-store",
];

fn client_file(name: &str) -> String {
    fs::read_to_string(Path::new(CLIENTS).join(name)).expect("a file")
}

/// The workspace's own packages that may be published.
fn published() -> Vec<Value> {
    let packages = metadata().expect("metadata")["packages"].as_array().expect("packages").clone();
    packages
        .into_iter()
        .filter(|it| it["source"].is_null() && it["publish"] != serde_json::json!([]))
        .collect()
}

#[test]
fn each_published_crate_says_all_that_a_registry_shows() {
    let published = published();
    let mut names: Vec<&str> = published.iter().filter_map(|package| package["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, CRATES);
    for package in &published {
        let name = package["name"].as_str().expect("a name");
        let folder =
            Path::new(package["manifest_path"].as_str().expect("a path")).parent().expect("a folder");
        assert_eq!(package["repository"], REPOSITORY, "{name}");
        assert_eq!(package["license"], env!("CARGO_PKG_LICENSE"), "{name}");
        assert!(package["description"].as_str().is_some_and(|text| text.len() > 20), "{name}");
        assert!(folder.join(package["readme"].as_str().expect("a readme")).exists(), "{name}");
        for (list, most) in [("keywords", 5), ("categories", 5)] {
            let count = package[list].as_array().expect("a list").len();
            assert!((1..=most).contains(&count), "{name}: {count} {list}");
        }
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let (copy, text) = (fs::read(folder.join(licence)), fs::read(folder.join("../..").join(licence)));
            assert_eq!(copy.expect("a copy"), text.expect("a licence"), "{name}");
        }
    }
}

#[test]
fn published_crates_name_each_other_with_the_version_of_all() {
    for package in published() {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = dependency["name"].as_str().expect("a name");
            if CRATES.contains(&name) {
                assert_eq!(
                    dependency["req"],
                    format!("^{}", env!("CARGO_PKG_VERSION")),
                    "{}: {name}",
                    package["name"]
                );
            }
        }
    }
}

#[test]
fn the_client_libraries_name_the_project_and_their_folders() {
    let js: Value = serde_json::from_str(&client_file("js/package.json")).expect("JSON");
    assert_eq!(js["repository"]["url"], format!("git+{REPOSITORY}.git"));
    assert_eq!(js["repository"]["directory"], "clients/js");
    assert!(js["private"].is_null() && js["keywords"].as_array().is_some_and(|words| !words.is_empty()));
    let python: toml::Table = client_file("python/pyproject.toml").parse().expect("TOML");
    assert_eq!(python["project"]["urls"]["Repository"].as_str(), Some(REPOSITORY));
    let classifiers = python["project"]["classifiers"].as_array().expect("a list");
    assert!(classifiers.iter().all(|it| !it.as_str().is_some_and(|text| text.starts_with("Private"))));
    let host = REPOSITORY.strip_prefix("https://").expect("an address");
    assert_eq!(client_file("go/go.mod").lines().next(), Some(&*format!("module {host}/clients/go")));
}
