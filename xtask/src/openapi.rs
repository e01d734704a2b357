//! `cargo xtask openapi`: has the test that compares `docs/openapi.json` write it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

const WRITE: [&str; 8] = [
    "test",
    "--locked",
    "-p",
    "rke",
    "--test",
    "end_to_end",
    "openapi::document::the_copy_in_docs_is_the_document",
    "--",
];

pub(crate) fn openapi() -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(WRITE).arg("--exact").env("RKE_RENEW_OPENAPI", "yes");
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "docs/openapi.json was not written");
    Ok(())
}
