//! `--check-config`, of each program that has settings.

use std::path::Path;

use anyhow::{Context, Result};
use rke_secret::process::{Inspection, harden};

use super::WrongSettings;
use crate::terminal::out_text;

/// Lets `look` read everything that the settings name, as a start would. Reports that they are good, and where they come from.
///
/// # Errors
/// [`WrongSettings`].
pub(crate) fn check(file: Option<&Path>, look: impl FnOnce() -> Result<()>) -> Result<()> {
    // What is read includes private keys and coins.
    harden(Inspection::Refused).context("cannot harden the process")?;
    look().map_err(WrongSettings)?;
    let read = match file {
        Some(path) => format!("flags, environment and {}", path.display()),
        None => "flags and environment, without a configuration file".into(),
    };
    out_text(&format!("The settings are good ({read})."))
}
