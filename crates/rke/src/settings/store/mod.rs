//! The settings of the store that several machines share.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use rke_shared_store::{Addresses, Deployment, Sharing};
use serde::{Deserialize, Deserializer};

use super::in_file::{one_or_several, within};
use super::settle::first_given;
use crate::switch::{Switch, switch_in_file};

/// Milliseconds that a machine may keep an opened key without asking the store again.
const HOLD: RangeInclusive<u64> = 100..=10_000;
const DEFAULT_HOLD: u64 = 1000;

/// Where the store is.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StoreAddressOptions {
    /// The Redis or Valkey server that several machines share: redis://HOST:PORT, or with TLS rediss://HOST:PORT. See
    /// docs/scaling.md. Repeatable: of several, each is tried until one responds.
    #[arg(long, value_name = "URL", env = "RKE_STORE", value_delimiter = ',')]
    #[serde(default, deserialize_with = "one_or_several")]
    store: Vec<String>,
    /// The URLs of --store are those of Sentinels, which know the primary by this name.
    #[arg(long, value_name = "NAME", env = "RKE_STORE_SENTINEL")]
    #[serde(alias = "store_sentinel")]
    store_sentinel: Option<String>,
    /// The URLs of --store are those of members of a cluster.
    #[arg(long, value_name = "SWITCH", env = "RKE_STORE_CLUSTER", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "store_cluster", default, deserialize_with = "switch_in_file")]
    store_cluster: Option<bool>,
}

/// How this machine uses it. A group apart, because serde cannot flatten a group within a group.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StoreOptions {
    /// The file with the keys that seal what is in the store, the same on all machines. `rke store key FILE` makes it.
    #[arg(long, value_name = "FILE", env = "RKE_STORE_KEY_FILE")]
    #[serde(alias = "store_key_file")]
    store_key_file: Option<PathBuf>,
    /// Milliseconds that this machine uses a key without asking the store again, from 100 to 10000 [default: 1000]. A deletion
    /// waits that long for a machine that does not respond.
    #[arg(long, value_name = "MS", env = "RKE_HOLD", value_parser = clap::value_parser!(u64).range(HOLD))]
    #[serde(default, deserialize_with = "hold")]
    hold: Option<u64>,
}

impl StoreAddressOptions {
    /// Takes from the file what flags and environment left open.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            store: first_given([self.store, file.store]),
            store_sentinel: self.store_sentinel.or(file.store_sentinel),
            store_cluster: self.store_cluster.or(file.store_cluster),
        }
    }

    /// Where the store is, if there is one.
    ///
    /// # Errors
    /// Settings that have no effect, exclude each other or are wrong.
    pub(crate) fn settle(self) -> Result<Option<Addresses>> {
        let is_cluster = self.store_cluster.unwrap_or_default();
        if self.store.is_empty() {
            return match (self.store_sentinel, is_cluster) {
                (None, false) => Ok(None),
                (Some(_), _) => bail!("--store-sentinel has no effect without --store URL"),
                (None, true) => bail!("--store-cluster has no effect without --store URL"),
            };
        }
        let deployment = match (self.store_sentinel, is_cluster) {
            (None, false) => Deployment::Single,
            (Some(name), false) => Deployment::Sentinel(name),
            (None, true) => Deployment::Cluster,
            (Some(_), true) => bail!(
                "--store-sentinel and --store-cluster exclude each other: a cluster does its own fail-over"
            ),
        };
        let addresses = Addresses { urls: self.store, deployment };
        addresses.check()?;
        Ok(Some(addresses))
    }
}

impl StoreOptions {
    /// Takes from the file what flags and environment left open.
    pub(super) fn or(self, file: Self) -> Self {
        Self { store_key_file: self.store_key_file.or(file.store_key_file), hold: self.hold.or(file.hold) }
    }

    /// The store at these addresses, if there is one.
    ///
    /// # Errors
    /// Settings that are missing, have no effect, exclude each other or are wrong.
    pub(super) fn settle(self, address: StoreAddressOptions) -> Result<Option<Sharing>> {
        let Some(addresses) = address.settle()? else {
            return match (self.store_key_file, self.hold) {
                (None, None) => Ok(None),
                (Some(_), _) => bail!("--store-key-file has no effect without --store URL"),
                (None, Some(_)) => bail!("--hold has no effect without --store URL"),
            };
        };
        let key_file = self.store_key_file.context(
            "--store needs --store-key-file FILE. `rke store key FILE` makes the file, and all machines that share the store need the same",
        )?;
        let hold = Duration::from_millis(self.hold.unwrap_or(DEFAULT_HOLD));
        Ok(Some(Sharing { addresses, key_file, hold }))
    }
}

fn hold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, HOLD).map(Some)
}

#[cfg(test)]
mod tests;
