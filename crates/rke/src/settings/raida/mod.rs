//! The settings of a RAIDA node: each is a flag, a `RKE_…` variable and a key of the configuration file, in this
//! order of precedence. Unknown keys in the file are rejected.

mod preloader;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use rke_host::sandbox::{Files, Reading};
use rke_host::wallet::Envelope1;
use rke_proto::RaidaIndex;
use rke_raida::owners::Preloaders;
use rke_raida::replay::DEFAULT_PLACES;
use rke_raida::responder::{Imitation, NodePolicy};
use serde::{Deserialize, Deserializer};

use self::preloader::NamedPreloader;
use super::in_file::{address, number, replay_places, texts};
use super::process::{ProcessOptions, ProcessSettings, named};
use super::settle::{Settle, WrongSettings, first_given, required};
use crate::local_address::{LocalAddress, local_address_in_file};
use crate::parse::{parse_address, parse_replay_places};
use crate::sandbox::Sandbox;
use crate::switch::{Switch, switch_in_file};

/// What needs the settings that have no default.
const A_NODE: &str = "a RAIDA node";

/// One RAIDA node. The same structure is read from flags, environment and file.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RaidaOptions {
    /// Configuration file (TOML). Its keys are the long flags without the dashes in front. SIGHUP makes the node read it,
    /// and the coins, again.
    #[arg(long, value_name = "FILE", env = "RKE_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Check the settings and the files that they name, and exit: 0 if the node could start with them, 2 if not.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) check_config: bool,
    /// Which RAIDA it is, 0 to 24. Required.
    #[arg(long, value_name = "INDEX", env = "RKE_INDEX", value_parser = parse_raida)]
    #[serde(default, deserialize_with = "raida_index")]
    index: Option<RaidaIndex>,
    /// Where it listens (UDP). [::] takes IPv4 too. Required.
    #[arg(long, value_name = "ADDR", env = "RKE_LISTEN", value_parser = parse_address)]
    #[serde(default, deserialize_with = "address")]
    listen: Option<SocketAddr>,
    /// Folder of coin files from which it takes its own AN of each coin, also of files that are put there later. Repeatable.
    /// Required.
    #[arg(long, value_name = "DIR", env = "RKE_COINS", value_delimiter = ',')]
    #[serde(default)]
    coins: Vec<PathBuf>,
    /// Where its master secrets are kept, sealed. Required.
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// A coin that may preload master secrets, and the Content Server IDs that it may preload, as in 0:42=SHOP+SHOP-TEST;
    /// without IDs, any that no other coin owns or is named for. A coin is DENOMINATION:SERIAL, or a file that has it, as in
    /// coins/coin_0_42.bin=SHOP. Repeatable, or with commas between coins. The first coin of the wallet that preloads counts.
    #[arg(
        long,
        value_name = "COIN[=ID+ID…]",
        env = "RKE_PRELOADER",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    #[serde(default, deserialize_with = "preloaders")]
    preloader: Vec<NamedPreloader>,
    /// Most requests to remember, for five minutes each, so that none is accepted twice [default: 1048576]. One coin gets a
    /// sixteenth of these places. When they are full, requests are refused.
    #[arg(long, value_name = "N", env = "RKE_REPLAY_MEMORY", value_parser = parse_replay_places)]
    #[serde(default, deserialize_with = "replay_places")]
    replay_memory: Option<usize>,
    /// Respond to requests in envelope 1, as older clients send them. It can reveal the coin's AN.
    #[arg(long, value_name = "SWITCH", env = "RKE_ALLOW_ENVELOPE_1", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default, deserialize_with = "switch_in_file")]
    allow_envelope_1: Option<bool>,
    /// Show metrics and health over HTTP at IP:PORT of loopback, or at unix:PATH, a socket that only this user may use.
    #[arg(long, value_name = "WHERE", env = "RKE_METRICS")]
    #[serde(default, deserialize_with = "local_address_in_file")]
    metrics: Option<LocalAddress>,
    #[command(flatten)]
    #[serde(flatten)]
    process: ProcessOptions,
}

/// All settings of a node.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct RaidaSettings {
    config: Option<PathBuf>,
    pub(crate) raida: RaidaIndex,
    pub(crate) listen: SocketAddr,
    pub(crate) coins: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    preloaders: Vec<NamedPreloader>,
    /// Without its preloaders.
    policy: NodePolicy,
    pub(crate) metrics: Option<LocalAddress>,
    pub(crate) process: ProcessSettings,
}

impl Settle for RaidaOptions {
    type Settings = RaidaSettings;

    fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    fn or(self, file: Self) -> Self {
        Self {
            config: self.config,
            check_config: self.check_config,
            index: self.index.or(file.index),
            listen: self.listen.or(file.listen),
            coins: first_given([self.coins, file.coins]),
            data_dir: self.data_dir.or(file.data_dir),
            preloader: first_given([self.preloader, file.preloader]),
            replay_memory: self.replay_memory.or(file.replay_memory),
            allow_envelope_1: self.allow_envelope_1.or(file.allow_envelope_1),
            metrics: self.metrics.or(file.metrics),
            process: self.process.or(file.process),
        }
    }

    fn with_defaults(self) -> Result<RaidaSettings> {
        Ok(RaidaSettings {
            config: self.config,
            raida: required(A_NODE, "index", self.index)?,
            listen: required(A_NODE, "listen", self.listen)?,
            coins: required(A_NODE, "coins", Some(self.coins).filter(|coins| !coins.is_empty()))?,
            data_dir: required(A_NODE, "data-dir", self.data_dir)?,
            preloaders: self.preloader,
            policy: NodePolicy {
                preloaders: Preloaders::default(),
                envelope_1: match self.allow_envelope_1 {
                    Some(true) => Envelope1::Allowed,
                    _ => Envelope1::Refused,
                },
                replay_places: self.replay_memory.unwrap_or(DEFAULT_PLACES),
                imitates: Imitation::Nobody,
            },
            metrics: self.metrics,
            process: self.process.settle(),
        })
    }
}

impl RaidaSettings {
    /// What the operator decides. Reads the coin files of preloaders.
    ///
    /// # Errors
    /// [`WrongSettings`], if one of them cannot be used.
    pub(crate) fn rules(&self) -> Result<NodePolicy, WrongSettings> {
        let preloaders = self.preloaders.iter().map(NamedPreloader::find).collect::<Result<_>>();
        Ok(NodePolicy { preloaders: preloaders.map_err(WrongSettings)?, ..self.policy.clone() })
    }

    /// The rights that the node keeps.
    pub(crate) fn sandbox(&self) -> Sandbox {
        let files = Files::new(Reading::Limited).write(&self.data_dir);
        let files = self.coins.iter().map(AsRef::as_ref).fold(files, Files::read);
        let read_again = self.config.iter().chain(self.preloaders.iter().filter_map(NamedPreloader::file));
        let files = read_again.map(AsRef::as_ref).fold(files, Files::read_again);
        let files = self.metrics.iter().fold(files, |files, metrics| metrics.allow(files));
        let files = self.process.audit_log.iter().fold(files, |files, log| files.append(log));
        Sandbox::new(self.process.sandbox, files)
    }

    /// The names of the settings that differ in `wanted` and take effect only after a restart.
    pub(crate) fn fixed(&self, wanted: &Self) -> Vec<&'static str> {
        let differs = named([
            ("index", self.raida != wanted.raida),
            ("listen", self.listen != wanted.listen),
            ("data-dir", self.data_dir != wanted.data_dir),
            ("replay-memory", self.policy.replay_places != wanted.policy.replay_places),
            ("metrics", self.metrics != wanted.metrics),
        ]);
        [differs, self.process.differences(&wanted.process)].concat()
    }
}

fn parse_raida(text: &str) -> Result<RaidaIndex, &'static str> {
    text.parse().ok().and_then(RaidaIndex::new).ok_or("a RAIDA index is a number from 0 to 24")
}

fn raida_index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RaidaIndex>, D::Error> {
    number(deserializer, parse_raida)
}

fn preloaders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NamedPreloader>, D::Error> {
    texts(deserializer, str::parse)
}

#[cfg(test)]
mod tests;
