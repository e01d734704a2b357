//! `cargo xtask configuration`: has the test that compares `docs/configuration.md` write it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

const WRITE: [&str; 8] = [
    "test",
    "--locked",
    "-p",
    "rke",
    "--bin",
    "rke",
    "configuration::document::the_document_is_that_of_the_commands",
    "--",
];

pub(crate) fn configuration() -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(WRITE).arg("--exact").env("RENEW_CONFIGURATION", "yes");
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "docs/configuration.md was not written");
    Ok(())
}
