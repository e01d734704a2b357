//! The settings of how the daemon learns which RAIDA a server is, for domains whose records do not name it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rke_engine::guardians::Guardians;
use rke_engine::settings::Config;
use serde::Deserialize;

use super::settle::first_given;

/// Where indexes of RAIDAs come from.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DirectoryOptions {
    /// File of lines `host:port index` for records that do not name their RAIDA.
    #[arg(long, value_name = "FILE", env = "RKE_RAIDA_DIRECTORY")]
    #[serde(alias = "raida_directory")]
    raida_directory: Option<PathBuf>,
    /// A list of RAIDAs at an https:// URL, such as https://guardian.example.com/host.txt, for what neither records nor
    /// --raida-directory name. Repeatable: at least three, most of which have to agree.
    #[arg(long, value_name = "URL", env = "RKE_GUARDIAN", value_delimiter = ',')]
    #[serde(default)]
    guardian: Vec<String>,
}

impl DirectoryOptions {
    /// Takes from the file what flags and environment left open.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            raida_directory: self.raida_directory.or(file.raida_directory),
            guardian: first_given([self.guardian, file.guardian]),
        }
    }

    /// Puts these settings into the daemon's settings.
    pub(crate) fn settle(self, config: &mut Config) -> Result<()> {
        config.reloadable.raida_directory = self.raida_directory;
        config.reloadable.guardians = Guardians::new(&self.guardian)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
