//! From options to settings: what flags and environment leave open comes from the configuration file, and what that leaves
//! open has a default.

use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::words::in_words;

/// The program cannot run with these settings.
#[derive(Debug, thiserror::Error)]
#[error("{}", in_words(.0))]
pub(crate) struct WrongSettings(pub(crate) anyhow::Error);

/// The options of a program that has a configuration file. The same structure is read from flags, environment and file.
pub(crate) trait Settle: DeserializeOwned + Default {
    /// All settings of the program.
    type Settings;

    /// The configuration file, if one is named.
    fn file(&self) -> Option<&Path>;

    /// Takes from the file what flags and environment left open.
    fn or(self, file: Self) -> Self;

    /// The settings, with defaults for everything still open.
    ///
    /// # Errors
    /// Something is missing, or settings do not go together.
    fn with_defaults(self) -> Result<Self::Settings>;

    /// The settings that result from these options, the environment and the file.
    ///
    /// # Errors
    /// [`WrongSettings`].
    fn settle(self) -> Result<Self::Settings, WrongSettings> {
        let file = self.file().map_or_else(|| Ok(Self::default()), read_file);
        file.and_then(|file| self.or(file).with_defaults()).map_err(WrongSettings)
    }
}

/// Reads settings from a file.
pub(crate) fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the configuration file {} is wrong", path.display()))
}

/// The first list that is not empty.
pub(crate) fn first_given<T, const N: usize>(lists: [Vec<T>; N]) -> Vec<T> {
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

/// A setting without a default. `program` names the one that needs it.
pub(super) fn required<T>(program: &str, name: &str, given: Option<T>) -> Result<T> {
    let variable = name.replace('-', "_").to_uppercase();
    given.with_context(|| {
        format!(
            "{program} needs --{name}, the variable RKE_{variable}, or `{name}` in its configuration file"
        )
    })
}
