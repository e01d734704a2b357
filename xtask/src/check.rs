//! `cargo xtask check`: what a change is checked with before it is committed. It needs no root, no browser and no
//! network but loopback, and takes less than two minutes once everything is built.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::{cargo, cargo_with, timed};

/// End-to-end tests that are quick and need nothing installed. All others are left to `cargo xtask test`.
const FAST: [&str; 14] = [
    // Requests and responses, to the letter.
    "api::",
    "errors::",
    "openapi::document",
    // Exchanges that are refused, keys, sealed data.
    "key::",
    "refused::",
    "sealed::",
    // Output and settings.
    "check_config::",
    "doctor::",
    "names::",
    "reload::",
    // Who depends on whom, what the documents say, and what unit tests wait for.
    "dependencies::",
    "documents::",
    "printed::",
    "unit_tests::",
];

/// Of these, what runs other programs: a filter is found anywhere in a name, so `api::` finds a page's tests too.
const SLOW: [&str; 4] = ["--skip", "documents::commands::", "--skip", "openapi::page::"];

/// The tests of whole crates that are quick.
const WHOLE: [&str; 2] = ["simulation", "misuse"];

/// One run of the simulation in ten: all of them take a minute and a half of a processor.
const FEWER_RUNS: (&str, &str) = ("SIM_RUNS", "2300");

/// The summary of a run.
const LEFT_OUT: &str = "\
left to `cargo xtask test`: all other end-to-end and integration tests, doc tests, nine of ten runs of the simulation, valgrind,
other people's networks, attacks, memory scans, Schemathesis and instruction counts; without root, also a few unit tests of files
that are another user's
";

pub(crate) fn check() -> Result<()> {
    timed("format and lints", || {
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])
    })?;
    // Always the whole workspace: with other packages, libraries have other features, and are compiled again.
    let fuzz_targets = names_in("../fuzz/tests")?;
    let tests = WHOLE.into_iter().chain(fuzz_targets.iter().map(String::as_str));
    let tests: Vec<&str> = tests.flat_map(|name| ["--test", name]).collect();
    timed("unit tests, simulation, fuzz targets", || {
        let test = ["test", "--workspace", "--locked", "--lib", "--bins"];
        cargo_with(FEWER_RUNS, &[&test, &tests[..]].concat())
    })?;
    timed("fast end-to-end tests", || {
        cargo(
            &[&["test", "--workspace", "--locked", "--test", "end_to_end", "--"], &FAST[..], &SLOW[..]]
                .concat(),
        )
    })?;
    print!("{LEFT_OUT}");
    Ok(())
}

/// The names of the sources in a folder.
fn names_in(folder: &str) -> Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let sources = entries.flatten().map(|entry| entry.path());
    let sources = sources.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    Ok(sources.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect())
}
