//! `cargo xtask configuration`: has the test that compares `docs/configuration.md` write it.

use anyhow::Result;

use crate::cargo_with;

const WRITE: [&str; 9] = [
    "test",
    "--locked",
    "-p",
    "rke",
    "--bin",
    "rke",
    "configuration::document::the_document_is_that_of_the_commands",
    "--",
    "--exact",
];

pub(crate) fn configuration() -> Result<()> {
    cargo_with(("RENEW_CONFIGURATION", "yes"), &WRITE)
}
