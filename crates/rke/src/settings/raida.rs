//! The settings of a RAIDA node: each is a flag, a `RKE_…` variable and a key of the configuration file, in this order of
//! precedence. Unknown keys in the file are refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use rke_host::sandbox::{Files, Reading};
use rke_host::wallet::Envelope1;
use rke_proto::RaidaIndex;
use rke_raida::owners::Preloader;
use rke_raida::replay::DEFAULT_PLACES;
use rke_raida::responder::{Imitation, Rules};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{WrongSettings, first_given, read_file};
use crate::parse::{parse_address, parse_replay_places};
use crate::protection::{Protection, SecretMemoryChoice};
use crate::sandbox::{Sandbox, SandboxChoice};
use crate::switch::{Switch, switch_in_file};

/// One RAIDA node. The same structure is read from flags, environment and file.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RaidaOptions {
    /// Configuration file (TOML). Its keys are the long flags without the dashes in front. SIGHUP makes the node read it,
    /// and the coins, again.
    #[arg(long, value_name = "FILE", env = "RKE_CONFIG")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Which RAIDA it is, 0 to 24. Required.
    #[arg(long, value_name = "INDEX", env = "RKE_INDEX", value_parser = parse_raida)]
    #[serde(default, deserialize_with = "raida_index")]
    index: Option<RaidaIndex>,
    /// Where it listens (UDP). [::] takes IPv4 too. Required.
    #[arg(long, value_name = "ADDR", env = "RKE_LISTEN", value_parser = parse_address)]
    #[serde(default, deserialize_with = "address")]
    listen: Option<SocketAddr>,
    /// Folder of coin files from which it takes its own AN of each coin. Repeatable. Required.
    #[arg(long, value_name = "DIR", env = "RKE_COINS", value_delimiter = ',')]
    #[serde(default)]
    coins: Vec<PathBuf>,
    /// Where its master secrets are kept, sealed. Required.
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// A coin that may preload master secrets, and the Content Server IDs that it may preload, as in 0:42=SHOP+SHOP-TEST;
    /// without IDs, any that no other coin owns or is named for. Repeatable, or with commas between coins. The first
    /// coin of the wallet that preloads counts.
    #[arg(
        long,
        value_name = "COIN[=ID+ID…]",
        env = "RKE_PRELOADER",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    #[serde(default, deserialize_with = "preloaders")]
    preloader: Vec<Preloader>,
    /// Most requests to remember, for five minutes each, so that none is accepted twice [default: 1048576]. One coin gets a
    /// sixteenth of these places. When they are full, requests are refused.
    #[arg(long, value_name = "N", env = "RKE_REPLAY_MEMORY", value_parser = parse_replay_places)]
    #[serde(default, deserialize_with = "replay_places")]
    replay_memory: Option<usize>,
    /// Respond to requests in envelope 1, as older clients send them. It can give the coin's AN away.
    #[arg(long, value_name = "SWITCH", env = "RKE_ALLOW_ENVELOPE_1", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default, deserialize_with = "switch_in_file")]
    allow_envelope_1: Option<bool>,
    /// The memory to hold secrets in [default: auto].
    #[arg(long, value_name = "KIND", env = "RKE_SECRET_MEMORY")]
    secret_memory: Option<SecretMemoryChoice>,
    /// Let debuggers and core dumps see everything, keys included. For debugging rke only.
    #[arg(long, value_name = "SWITCH", env = "RKE_INSECURE_DEBUG", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default, deserialize_with = "switch_in_file")]
    insecure_debug: Option<bool>,
    /// Whether to give up, once started, all rights that are not needed [default: on]. See SECURITY.md.
    #[arg(long, value_name = "WHEN", env = "RKE_SANDBOX")]
    sandbox: Option<SandboxChoice>,
    /// What to log: error, warn, info, debug, trace, or a filter such as rke_raida=debug [default: warn].
    #[arg(long, value_name = "FILTER", env = "RKE_LOG")]
    log: Option<String>,
}

/// What a node runs with.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct RaidaSettings {
    config: Option<PathBuf>,
    pub(crate) raida: RaidaIndex,
    pub(crate) listen: SocketAddr,
    pub(crate) coins: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) rules: Rules,
    pub(crate) protection: Protection,
    sandbox: SandboxChoice,
    pub(crate) log: String,
}

impl RaidaOptions {
    /// The settings that these options, the environment and the file make.
    ///
    /// # Errors
    /// [`WrongSettings`].
    pub(crate) fn settle(self) -> Result<RaidaSettings, WrongSettings> {
        self.fill().map_err(WrongSettings)
    }

    /// Fills what flags and environment left open from the file, then from the defaults.
    fn fill(self) -> Result<RaidaSettings> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => Self::default(),
        };
        let coins = first_given([self.coins, file.coins]);
        let preloaders = first_given([self.preloader, file.preloader]);
        let envelope_1 = self.allow_envelope_1.or(file.allow_envelope_1);
        Ok(RaidaSettings {
            config: self.config,
            raida: required("index", self.index.or(file.index))?,
            listen: required("listen", self.listen.or(file.listen))?,
            coins: required("coins", Some(coins).filter(|coins| !coins.is_empty()))?,
            data_dir: required("data-dir", self.data_dir.or(file.data_dir))?,
            rules: Rules {
                preloaders: preloaders.into_iter().collect(),
                envelope_1: match envelope_1 {
                    Some(true) => Envelope1::Allowed,
                    _ => Envelope1::Refused,
                },
                replay_places: self.replay_memory.or(file.replay_memory).unwrap_or(DEFAULT_PLACES),
                imitates: Imitation::Nobody,
            },
            protection: Protection {
                secret_memory: self.secret_memory.or(file.secret_memory).unwrap_or_default(),
                insecure_debug: self.insecure_debug.or(file.insecure_debug).unwrap_or_default(),
            },
            sandbox: self.sandbox.or(file.sandbox).unwrap_or_default(),
            log: self.log.or(file.log).unwrap_or_else(|| "warn".into()),
        })
    }
}

impl RaidaSettings {
    /// What the node keeps of its rights.
    pub(crate) fn sandbox(&self) -> Sandbox {
        let files = Files::new(Reading::Limited).write(&self.data_dir);
        let files = self.coins.iter().map(AsRef::as_ref).fold(files, Files::read);
        let files = self.config.iter().map(AsRef::as_ref).fold(files, Files::read_again);
        Sandbox::new(self.sandbox, files)
    }

    /// The names of the settings that differ in `wanted` and take a new start to change.
    pub(crate) fn fixed(&self, wanted: &Self) -> Vec<&'static str> {
        let differs = [
            ("index", self.raida != wanted.raida),
            ("listen", self.listen != wanted.listen),
            ("data-dir", self.data_dir != wanted.data_dir),
            ("replay-memory", self.rules.replay_places != wanted.rules.replay_places),
            ("secret-memory or insecure-debug", self.protection != wanted.protection),
            ("sandbox", self.sandbox != wanted.sandbox),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

fn required<T>(name: &str, given: Option<T>) -> Result<T> {
    let variable = name.replace('-', "_").to_uppercase();
    given.with_context(|| {
        format!(
            "a RAIDA node needs --{name}, the variable RKE_{variable}, or `{name}` in its configuration file"
        )
    })
}

fn parse_raida(text: &str) -> Result<RaidaIndex, &'static str> {
    text.parse().ok().and_then(RaidaIndex::new).ok_or("a RAIDA index is a number from 0 to 24")
}

fn raida_index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RaidaIndex>, D::Error> {
    let index = i64::deserialize(deserializer)?;
    parse_raida(&index.to_string()).map(Some).map_err(D::Error::custom)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    parse_address(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

fn replay_places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let places = i64::deserialize(deserializer)?;
    parse_replay_places(&places.to_string()).map(Some).map_err(D::Error::custom)
}

fn preloaders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Preloader>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "index = 7\nlisten = '[::]:50007'\ncoins = ['/coins']\ndata-dir = '/data'\n";

    fn settle(options: RaidaOptions, text: &str) -> Result<RaidaSettings, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("raida.toml");
        std::fs::write(&path, text).expect("written");
        let options = RaidaOptions { config: Some(path), ..options };
        options.settle().map_err(|error| error.to_string())
    }

    fn settled(text: &str) -> RaidaSettings {
        settle(RaidaOptions::default(), text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_flag_goes_over_the_file_and_the_file_over_the_default() {
        let text = format!("{WHOLE}log = 'info'\npreloader = ['0:42=SHOP', '-3:7']\n");
        let own =
            RaidaOptions { index: RaidaIndex::new(3), coins: vec!["/own".into()], ..Default::default() };
        let settings = settle(own, &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((settings.raida.get(), settings.listen), (3, "[::]:50007".parse().expect("an address")));
        assert_eq!((settings.coins, settings.log.as_str()), (vec![PathBuf::from("/own")], "info"));
        assert_eq!(settings.rules.replay_places, DEFAULT_PLACES);
        let shop = rke_proto::ContentServerId::new("SHOP").expect("an ID");
        assert!(settings.rules.preloaders.permit("0:42".parse().expect("a coin"), &shop));
        assert!(!settings.rules.preloaders.permit("-3:7".parse().expect("a coin"), &shop));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (text, name) in [
            ("", "--index"),
            ("index = 7\n", "--listen"),
            ("index = 7\nlisten = '127.0.0.1:1'\n", "--coins"),
            ("index = 7\nlisten = '127.0.0.1:1'\ncoins = ['c']\n", "RKE_DATA_DIR"),
            (&format!("{WHOLE}index-of-all = 1\n"), "index-of-all"),
            ("index = 25\n", "from 0 to 24"),
            ("index = -1\n", "from 0 to 24"),
            ("listen = 'here:1'\n", "an IP address with a port"),
            ("replay-memory = 1\n", "from 16 to"),
            ("preloader = ['42']\n", "DENOMINATION:SERIAL"),
            ("coins = 'c'\n", "the configuration file"),
        ] {
            let wrong = settle(RaidaOptions::default(), text).err().unwrap_or_default();
            assert!(wrong.contains(name), "{text:?}: {wrong}");
        }
    }

    #[test]
    fn what_takes_a_new_start_is_named() {
        let (before, now) = (settled(WHOLE), settled(&WHOLE.replace("50007", "50008")));
        assert_eq!(before.fixed(&now), ["listen"]);
        let now = settled(&format!("{WHOLE}preloader = ['0:1']\nlog = 'info'\nallow-envelope-1 = true\n"));
        assert!(before.fixed(&now).is_empty());
        let now = settled(&format!("{WHOLE}replay-memory = 64\nsandbox = 'off'\ninsecure-debug = true\n"));
        assert_eq!(before.fixed(&now), ["replay-memory", "secret-memory or insecure-debug", "sandbox"]);
    }
}
