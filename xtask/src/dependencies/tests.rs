use std::collections::BTreeSet;

use super::*;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn rules() -> toml::Table {
    include_str!("../../../deny.toml").parse().expect("TOML")
}

fn allowed(rules: &toml::Table) -> Vec<&str> {
    let allowed = rules["licenses"]["allow"].as_array().expect("a list");
    allowed.iter().filter_map(toml::Value::as_str).collect()
}

/// What licences one crate may be under besides these.
fn allowed_for<'a>(name: &str, rules: &'a toml::Table) -> Vec<&'a str> {
    let exceptions = rules["licenses"]["exceptions"].as_array().expect("a list");
    let of_it = exceptions.iter().filter(|exception| exception["crate"].as_str() == Some(name));
    of_it
        .filter_map(|exception| exception["allow"].as_array())
        .flatten()
        .filter_map(toml::Value::as_str)
        .collect()
}

#[test]
fn every_dependency_is_from_crates_io_and_under_a_licence_that_deny_toml_allows() {
    let rules = rules();
    for package in packages().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        assert!(package["source"].is_null() || package["source"] == REGISTRY, "{name} is from elsewhere");
        let licence = package["license"].as_str().unwrap_or_default();
        let allowed = [allowed(&rules), allowed_for(name, &rules)].concat();
        assert!(allows(licence, &allowed), "{name} is under {licence:?}");
    }
}

#[test]
fn no_crate_of_the_program_is_an_exception_of_deny_toml() {
    let rules = rules();
    for Linked { name, .. } in linked().expect("crates") {
        assert_eq!(allowed_for(&name, &rules), [""; 0], "{name}");
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
    for wrong in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "(MIT", "MIT-0"]
    {
        assert!(!allows(wrong, &allowed), "{wrong}");
    }
}
