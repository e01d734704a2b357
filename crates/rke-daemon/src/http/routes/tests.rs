use std::fs;
use std::path::Path;

use axum::http::Method;

use super::*;
use crate::http::policy::{Audience, Policy};

fn policy(method: &str, row: &Row) -> Policy {
    beside(row).policy(&method.parse().expect("a method"))
}

#[test]
fn what_is_refused_has_the_name_of_what_it_would_have_done() {
    for (method, row, name) in [
        ("GET", CREATE, "open_session"),
        ("POST", CREATE, "open_session"),
        ("GET", DELETE, "delete_session"),
        ("DELETE", SHOW, "delete_session"),
        ("GET", SHOW, "read"),
        ("HEAD", SHOW, "read"),
        ("POST", RENEW, "renew_session"),
        ("POST", TUNNEL, "tunnel"),
        ("DELETE", LIST, "delete_sessions"),
        ("GET", LIST, "read"),
        ("DELETE", LIST_KEYS, "forget_keys"),
        ("POST", SEAL, "use_key"),
        ("GET", pages::FILES[0].row, "read"),
    ] {
        assert_eq!(policy(method, &row).attempt.name(), name, "{method} {}", row.path);
    }
}

#[test]
fn a_method_that_a_path_does_not_have_does_nothing() {
    for (method, row) in [
        ("DELETE", CREATE),
        ("HEAD", CREATE),
        ("OPTIONS", CREATE),
        ("PUT", SHOW),
        ("DELETE", RENEW),
        ("GET", TUNNEL),
        ("HEAD", ENCRYPT),
    ] {
        assert_eq!(policy(method, &row), Policy::NO_ROUTE, "{method} {}", row.path);
    }
    let live = Policy { audience: Audience::Everybody, ..Policy::NO_ROUTE };
    assert_eq!(policy("OPTIONS", &LIVE), live, "who may ask for it may ask for its methods");
    assert_eq!(Rows::NONE.policy(&Method::GET), Policy::NO_ROUTE);
}

#[test]
fn the_rows_of_a_path_stand_together_and_are_for_the_same() {
    let mut seen = Vec::new();
    for rows in ROWS.chunk_by(|one, next| one.path == next.path) {
        let (path, audience) = (rows[0].path, rows[0].policy.audience);
        assert!(!seen.contains(&path), "{path} has rows in two places");
        seen.push(path);
        assert!(rows.iter().all(|row| row.policy.audience == audience), "{path}");
    }
    assert!(pages::FILES.iter().all(|file| !seen.contains(&file.row.path)));
}

/// The sources below a folder for whose text `found` returns true.
fn sources(folder: &Path, found: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            names.extend(sources(&path, found));
        } else if found(&fs::read_to_string(&path).expect("a source")) {
            names.push(path.display().to_string());
        }
    }
    names
}

fn src() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

#[test]
fn routes_are_made_in_one_place_from_the_table() {
    let makers = [".route(", ".route_service(", ".nest("];
    let makes = |text: &str| makers.iter().any(|maker| text.contains(maker));
    let program = |name: &String| !name.ends_with("/tests.rs");
    let makers: Vec<String> = sources(src(), &makes).into_iter().filter(program).collect();
    assert!(makers.len() == 1 && makers[0].ends_with("http/routes/router.rs"), "{makers:?}");
}

/// Comments may name paths, and so may the descriptions of routes in the document.
#[test]
fn a_path_of_the_api_is_written_in_the_table_and_nowhere_else() {
    let starts: Vec<&str> = ROWS.iter().filter_map(|row| row.path.split('{').next()).collect();
    let names_one = |line: &str| {
        let written =
            |start: &&str| line.contains(&format!("\"{start}")) || line.contains(&format!(" {start}"));
        !line.trim_start().starts_with("//") && starts.iter().any(written)
    };
    let spells = |text: &str| text.lines().any(names_one);
    let may = |name: &String| name.ends_with("http/routes/table.rs") || name.contains("http/openapi/");
    let others: Vec<String> = sources(src(), &spells).into_iter().filter(|name| !may(name)).collect();
    assert!(others.is_empty(), "take the path from http/routes/table.rs: {others:?}");
    assert!(sources(src(), &spells).iter().any(|name| name.ends_with("http/routes/table.rs")));
}
