//! From options to settings: what flags and environment leave open comes from the configuration file, and what that leaves
//! open has a default.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
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
    toml::from_str(&text).map_err(|error| {
        // What is wrong with the file as a whole, such as an unknown name, is said to be at its beginning.
        let part = error.span().filter(|span| span.start > 0);
        let place = part.map(|span| place(&text, span.start)).unwrap_or_default();
        // One line, because it may go to a log. The library's words for the place take five.
        let what = error.message().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        anyhow!("the configuration file {} is wrong{place}: {what}", path.display())
    })
}

/// Where an offset of a text is.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    format!(" in line {line}, column {column}")
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
