use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::dependencies::linked;

fn dist() -> Dist {
    Dist::new("release").expect("a commit")
}

#[test]
fn the_list_of_components_has_what_is_linked_and_no_path_of_this_machine() {
    let dist = dist();
    let text = sbom::sbom(&dist).expect("a list");
    assert!(!text.contains(&*dist.sources.to_string_lossy()) && text == sbom::sbom(&dist).expect("the same"));
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let components = list["components"].as_array().expect("components");
    let references: BTreeSet<&str> = components.iter().filter_map(|it| it["bom-ref"].as_str()).collect();
    let with_sums = components.iter().filter(|it| it["hashes"].is_array()).count();
    let linked = linked().expect("crates");
    assert_eq!(with_sums, linked.len());
    for one in &linked {
        let reference = format!("pkg:cargo/{}@{}", one.name, one.version);
        assert!(references.contains(&*reference), "{reference}");
    }
    assert!(references.contains("glibc") && references.contains("rust-std"));
    let uses = |it: &Value| it["dependsOn"].as_array().is_some_and(|list| !list.is_empty());
    let dependencies = list["dependencies"].as_array().expect("dependencies");
    let program = &list["metadata"]["component"]["bom-ref"];
    assert!(dependencies.iter().any(|it| it["ref"] == *program && uses(it)));
    assert_eq!(dependencies.len(), components.len() - 2 + 1, "all crates, and the program");
}

#[test]
fn the_path_of_an_operator_has_ten_commands_at_most() {
    let commands = root::path(&dist()).expect("commands");
    assert!((1..=10).contains(&commands.len()), "{commands:?}");
}
