//! `cargo xtask openapi`: has the test that compares `docs/openapi.json` write it.

use anyhow::Result;

use crate::cargo_with;

const WRITE: [&str; 8] = [
    "test",
    "--locked",
    "-p",
    "rke-daemon",
    "--lib",
    "http::openapi::tests::the_document_is_that_of_the_tables",
    "--",
    "--exact",
];

pub(crate) fn openapi() -> Result<()> {
    cargo_with(("RKE_RENEW_OPENAPI", "yes"), &WRITE)
}
