//! Dependencies go one way: between the crates, as ARCHITECTURE.md draws them, and between the modules of each
//! folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const EDGES: [(&str, &[&str]); 15] = [
    ("rke-client", &[]),
    ("rke-secret", &[]),
    ("rke-proto", &["rke-secret"]),
    ("rke-host", &["rke-proto", "rke-secret"]),
    ("rke-shared-store", &["rke-host", "rke-proto", "rke-secret"]),
    ("rke-engine", &["rke-host", "rke-proto", "rke-secret", "rke-shared-store"]),
    ("rke-daemon", &["rke-engine", "rke-host", "rke-proto", "rke-secret", "rke-shared-store"]),
    ("rke-raida", &["rke-host", "rke-proto", "rke-secret", "rke-shared-store"]),
    (
        "rke",
        &[
            "rke-client",
            "rke-daemon",
            "rke-engine",
            "rke-fuzz",
            "rke-host",
            "rke-proto",
            "rke-raida",
            "rke-secret",
            "rke-shared-store",
        ],
    ),
    ("rke-fuzz", &["rke-daemon", "rke-engine", "rke-host", "rke-proto", "rke-secret"]),
    (
        "rke-attack",
        &["rke-client", "rke-daemon", "rke-engine", "rke-host", "rke-proto", "rke-raida", "rke-secret"],
    ),
    ("rke-bench", &["rke-daemon", "rke-engine", "rke-host", "rke-proto", "rke-raida", "rke-secret"]),
    ("rke-instructions", &["rke-daemon", "rke-engine", "rke-fuzz", "rke-host", "rke-proto", "rke-secret"]),
    ("rke-scan", &["rke-host", "rke-proto", "rke-raida", "rke-secret"]),
    ("xtask", &[]),
];

/// The crates of this workspace, from cargo's metadata.
fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--no-deps", "--format-version=1", "--locked"];
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn crates_depend_in_one_direction() {
    let packages = packages();
    assert_eq!(packages.len(), EDGES.len());
    for package in &packages {
        let name = package["name"].as_str().expect("a name");
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let ours: BTreeSet<&str> =
            dependencies.filter_map(|d| d["name"].as_str()).filter(|d| d.starts_with("rke")).collect();
        let (_, allowed) = EDGES.iter().find(|(known, _)| *known == name).expect("a known crate");
        assert!(ours.iter().all(|d| allowed.contains(d)), "{name} depends on {ours:?}");
    }
}

/// The generator would make up a twentieth of the program. The program has the finished document instead.
#[test]
fn what_makes_the_openapi_document_is_for_tests_only() {
    let packages = packages();
    let all = packages.iter().flat_map(|package| package["dependencies"].as_array().expect("dependencies"));
    let kinds: Vec<&Value> = all.filter(|d| d["name"] == "utoipa").map(|d| &d["kind"]).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "dev"), "{kinds:?}");
}

/// A source file of a crate, except those of tests: the path of its module, and its text.
struct Source {
    module: Vec<String>,
    text: String,
}

fn sources(folder: &Path, above: &[String]) -> Vec<Source> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let below = || [above, std::slice::from_ref(&name)].concat();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            sources.extend(self::sources(&path, &below()));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let module =
                if ["lib", "main", "mod"].contains(&name.as_str()) { above.to_vec() } else { below() };
            sources.push(Source { module, text: fs::read_to_string(&path).expect("a source") });
        }
    }
    sources
}

impl Source {
    /// All paths in the source that begin within its own crate, as paths from the crate root.
    fn paths(&self) -> Vec<Vec<String>> {
        let code = self.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        let mut paths = Vec::new();
        for start in ["crate::", "self::", "super::"] {
            for (at, _) in code.match_indices(start) {
                if !code[..at].ends_with(|c: char| is_of_a_name(c) || c == ':') {
                    read_path(&code[at..], &[], &mut paths);
                }
            }
        }
        paths.iter().map(|path| self.crate_path(path)).collect()
    }

    fn crate_path(&self, path: &[&str]) -> Vec<String> {
        let mut crate_path = self.module.clone();
        for name in path {
            match *name {
                "crate" => crate_path.clear(),
                "self" => (),
                "super" => {
                    crate_path.pop();
                }
                name => crate_path.push(name.to_owned()),
            }
        }
        crate_path
    }
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads a path that continues after `start`, or all paths in its braces. Returns the rest of the code.
fn read_path<'a>(code: &'a str, start: &[&'a str], paths: &mut Vec<Vec<&'a str>>) -> &'a str {
    let (mut path, mut rest) = (start.to_vec(), code);
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            return read_list(inner, &path, paths);
        }
        let (name, behind) = rest.split_at(rest.find(|c| !is_of_a_name(c)).unwrap_or(rest.len()));
        path.extend(Some(name).filter(|name| !name.is_empty()));
        match behind.strip_prefix("::") {
            Some(behind) => rest = behind,
            None => {
                paths.push(path);
                return behind;
            }
        }
    }
}

/// Reads the paths between braces. Returns the code after the closing brace.
fn read_list<'a>(code: &'a str, start: &[&'a str], paths: &mut Vec<Vec<&'a str>>) -> &'a str {
    let mut rest = code;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        match rest.strip_prefix('}') {
            Some(behind) => return behind,
            None if rest.is_empty() => return rest,
            None => rest = read_path(rest, start, paths),
        }
        // Skips `as` with another name, or a `*`.
        rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
    }
}

/// For each module of a folder, the modules of the same folder that are named by paths in and below it. Tests may
/// name any.
type Modules = BTreeMap<String, BTreeSet<String>>;

/// The modules of each folder of a crate.
fn folders(sources: &[Source]) -> BTreeMap<Vec<String>, Modules> {
    let known: BTreeSet<&[String]> = sources
        .iter()
        .flat_map(|source| (1..=source.module.len()).map(|len| &source.module[..len]))
        .collect();
    let mut folders: BTreeMap<Vec<String>, Modules> = BTreeMap::new();
    for Source { module, .. } in sources {
        for len in 0..module.len() {
            folders.entry(module[..len].to_vec()).or_default().entry(module[len].clone()).or_default();
        }
    }
    for source in sources {
        for path in source.paths() {
            let shared = source.module.iter().zip(&path).take_while(|(own, other)| own == other).count();
            if let (Some(own), Some(other)) = (source.module.get(shared), path.get(shared))
                && known.contains(&path[..=shared])
                && let Some(named) = folders.get_mut(&path[..shared]).and_then(|folder| folder.get_mut(own))
            {
                named.insert(other.clone());
            }
        }
    }
    folders
}

/// The modules that form circles. Repeatedly removes the modules that name none of the others and those that none
/// of the others names, until nothing changes.
fn in_circles(mut modules: Modules) -> Modules {
    loop {
        let before = modules.len();
        let left: BTreeSet<String> = modules.keys().cloned().collect();
        modules.values_mut().for_each(|named| named.retain(|other| left.contains(other)));
        let named: BTreeSet<String> = modules.values().flatten().cloned().collect();
        modules.retain(|module, others| !others.is_empty() && named.contains(module));
        if modules.len() == before {
            return modules;
        }
    }
}

/// The folders of a crate with modules that name each other in circles.
fn circles(sources: &[Source]) -> BTreeMap<String, Modules> {
    let folders = folders(sources).into_iter();
    let circles = folders.map(|(folder, modules)| (folder.join("/"), in_circles(modules)));
    circles.filter(|(_, modules)| !modules.is_empty()).collect()
}

#[test]
fn no_modules_depend_on_each_other_in_a_circle() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for member in fs::read_dir(crates).expect("a folder") {
        let member = member.expect("an entry").path();
        let circles = circles(&sources(&member.join("src"), &[]));
        assert!(circles.is_empty(), "{}: {circles:#?}", member.display());
    }
}

#[test]
fn a_circle_is_seen_at_the_top_and_in_folders_however_its_paths_are_written() {
    let source = |(module, text): &(&str, &str)| Source {
        module: module.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        text: (*text).to_owned(),
    };
    let gate =
        ("http/gate/limits", "use crate::http::{\n    policy::{self, Row as Line},\n    api::query,\n};");
    let api = |text| ("http/api", text);
    for (last, is_circle) in [
        (api("use crate::http::gate::Rule;"), true),
        (api("fn decide(rule: super::gate::Rule) {}"), true),
        (api("use super::{policy::Row, gate::limits};"), true),
        (api("// use super::gate::Rule;"), false),
        (api("use super::policy::*;\npub(in crate::http) use self::gate::Rule;"), false),
        (("http/policy", "use super::api::Answer;"), false),
        (("http/policy", "use super::gate::Rule;"), true),
        (("http", "use self::gate::Rule;\nuse crate::http::api::Answer;"), false),
    ] {
        let wire = ("http/wire", "use super::{api::query, gate};");
        let others = [gate, wire, ("http/api/query", ""), ("http/policy/row", ""), ("http/gate", ""), last];
        let circles = circles(&others.iter().map(source).collect::<Vec<_>>());
        assert_eq!(circles.keys().any(|folder| folder == "http"), is_circle, "{last:?}: {circles:?}");
        assert!(circles.values().all(|circle| !circle.contains_key("wire")), "{last:?}: {circles:?}");
    }
    let top = [("a", "use crate::b::B;"), ("b/c", "use crate::d;"), ("d", "crate::a::A")];
    assert_eq!(circles(&top.iter().map(source).collect::<Vec<_>>()).keys().collect::<Vec<_>>(), [""]);
}
