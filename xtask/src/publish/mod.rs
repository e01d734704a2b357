//! `cargo xtask publish`: makes what the registries would get of the crates and the client libraries, and sends nothing. The
//! commands that send it are in RELEASING.md.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cargo, timed};

/// The folder of the client libraries.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients");

pub(crate) fn publish() -> Result<()> {
    // Builds each crate from what would be sent.
    timed("crates", || cargo(&["publish", "--workspace", "--locked", "--dry-run"]))?;
    timed("JavaScript", || run("js", &["npm", "publish", "--dry-run"]))?;
    // A Go module is published by its tag alone.
    timed("Go", || run("go", &["go", "vet", "./..."]))
    // The tests of the Python client build and install its package.
}

fn run(client: &str, words: &[&str]) -> Result<()> {
    eprintln!("cargo xtask: {} (in clients/{client})", words.join(" "));
    let [program, arguments @ ..] = words else { return Ok(()) };
    let status = Command::new(program).args(arguments).current_dir(Path::new(CLIENTS).join(client)).status();
    ensure!(status.with_context(|| format!("cannot run {program}"))?.success(), "{} failed", words.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests;
