//! Values in a configuration file, read as the flags of the same names read them.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use rke_host::usage::{MAX_BYTES, MAX_MESSAGES};
use rke_raida::content_server::MAX_LIFETIME_SECONDS;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::parse::{parse_address, parse_replay_places};
use crate::protection::parse_places;

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    text(deserializer, parse_address)
}

pub(super) fn places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    number(deserializer, parse_places)
}

pub(super) fn replay_places<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    number(deserializer, parse_replay_places)
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

/// One text or a list of texts.
pub(super) fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(text) => vec![text],
        Given::Several(texts) => texts,
    })
}

/// A text.
pub(super) fn text<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    parse(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// A list of texts.
pub(super) fn texts<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parse(text).map_err(D::Error::custom)).collect()
}

/// A number.
pub(super) fn number<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    parse(&i64::deserialize(deserializer)?.to_string()).map(Some).map_err(D::Error::custom)
}

pub(super) fn within<'de, D: Deserializer<'de>>(
    deserializer: D,
    bounds: RangeInclusive<u64>,
) -> Result<u64, D::Error> {
    let given = i64::deserialize(deserializer)?;
    let number = u64::try_from(given).ok().filter(|number| bounds.contains(number));
    let (from, to) = bounds.into_inner();
    number.ok_or_else(|| D::Error::custom(format!("{given} is not in {from}..={to}")))
}
