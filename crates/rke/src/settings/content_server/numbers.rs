//! Numbers in the configuration file of a Content Server, with the bounds of their flags.

use std::fmt::Display;
use std::ops::RangeInclusive;

use rke_host::usage::{MAX_BYTES, MAX_MESSAGES};
use rke_raida::content_server::MAX_LIFETIME_SECONDS;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::parse::parse_replay_places;
use crate::protection::parse_places;

pub(super) fn places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    parsed(deserializer, parse_places)
}

pub(super) fn replay_places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    parsed(deserializer, parse_replay_places)
}

pub(super) fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 1..=u64::from(MAX_LIFETIME_SECONDS)).map(|seconds| Some(seconds as u32))
}

pub(super) fn messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, 1..=MAX_MESSAGES).map(Some)
}

pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, 1..=MAX_BYTES).map(Some)
}

/// A number, read as the flag of the same name reads it.
fn parsed<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    parse(&i64::deserialize(deserializer)?.to_string()).map(Some).map_err(D::Error::custom)
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, bounds: RangeInclusive<u64>) -> Result<u64, D::Error> {
    let given = i64::deserialize(deserializer)?;
    let number = u64::try_from(given).ok().filter(|number| bounds.contains(number));
    let (from, to) = bounds.into_inner();
    number.ok_or_else(|| D::Error::custom(format!("{given} is not in {from}..={to}")))
}
