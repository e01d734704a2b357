//! `--check-config`, of each program that has settings.

use std::path::Path;

use anyhow::{Context, Result};
use rke_secret::process::{Inspection, harden};

use super::WrongSettings;
use crate::log;
use crate::terminal::out_text;

/// Checks the log filter, and lets `look` read everything else that the settings name, as a start would. Reports that they are good, and
/// where they come from.
///
/// # Errors
/// [`WrongSettings`].
pub(crate) fn check(filter: &str, file: Option<&Path>, look: impl FnOnce() -> Result<()>) -> Result<()> {
    // What is read includes private keys and coins.
    harden(Inspection::Refused).context("cannot harden the process")?;
    log::parse(filter).map_err(WrongSettings)?;
    look().map_err(WrongSettings)?;
    let read = match file {
        Some(path) => format!("flags, environment and {}", path.display()),
        None => "flags and environment, without a configuration file".into(),
    };
    out_text(&format!("The settings are good ({read})."))
}
