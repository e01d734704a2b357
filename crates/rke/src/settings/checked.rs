//! What `--check-config` prints of settings that are good.

use std::path::Path;

use anyhow::Result;

use crate::terminal::out_text;

/// Reports that settings are good, and where they come from.
pub(crate) fn tell_good(file: Option<&Path>) -> Result<()> {
    let read = match file {
        Some(path) => format!("flags, environment and {}", path.display()),
        None => "flags and environment, without a configuration file".into(),
    };
    out_text(&format!("The settings are good ({read})."))
}
