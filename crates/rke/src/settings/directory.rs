//! The settings of where the daemon learns which RAIDA a server is, where the domain's records do not say so.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rke_engine::guardians::Guardians;
use rke_engine::settings::Config;
use serde::Deserialize;

use super::first_given;

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
    /// Fills what flags and environment left open from the file.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            raida_directory: self.raida_directory.or(file.raida_directory),
            guardian: first_given([self.guardian, file.guardian]),
        }
    }

    /// Puts them into the daemon's settings.
    pub(crate) fn settle(self, config: &mut Config) -> Result<()> {
        config.reloadable.raida_directory = self.raida_directory;
        config.reloadable.guardians = Guardians::new(&self.guardian)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(hosts: &[&str]) -> Result<Config> {
        let guardian = hosts.iter().map(|host| format!("https://{host}.example/host.txt")).collect();
        let mut config = Config::new("/x".into());
        DirectoryOptions { raida_directory: None, guardian }.settle(&mut config)?;
        Ok(config)
    }

    #[test]
    fn there_are_no_guardians_or_at_least_three() {
        assert!(settled(&[]).expect("settings").reloadable.guardians.is_empty());
        assert_eq!(settled(&["a", "b", "c"]).expect("settings").reloadable.guardians.count(), 3);
        for (few, part) in [(&["a"][..], "names 1,"), (&["a", "b"], "names 2,"), (&["a", "b", "a"], "twice")]
        {
            let error = settled(few).expect_err("too few").to_string();
            assert!(error.contains("--guardian") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_flag_goes_over_the_file() {
        let file = DirectoryOptions { raida_directory: Some("/f".into()), guardian: vec!["file".into()] };
        let both = DirectoryOptions { raida_directory: None, guardian: vec!["flag".into()] }.or(file.clone());
        assert_eq!((both.raida_directory, both.guardian), (Some("/f".into()), vec!["flag".to_owned()]));
        assert_eq!(DirectoryOptions::default().or(file).guardian, ["file"]);
    }
}
