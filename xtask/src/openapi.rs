//! `cargo xtask openapi`: has the test that compares `docs/openapi.json` write it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

const WRITE: [&str; 7] = [
    "test",
    "--locked",
    "-p",
    "rke-daemon",
    "--lib",
    "http::openapi::tests::the_document_is_that_of_the_tables",
    "--",
];

pub(crate) fn openapi() -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(WRITE).arg("--exact").env("RKE_RENEW_OPENAPI", "yes");
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "docs/openapi.json was not written");
    Ok(())
}
