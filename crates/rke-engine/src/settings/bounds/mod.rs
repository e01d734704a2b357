//! The bounds of numeric settings. `docs/configuration.md` takes them from here.

use std::fmt;
use std::ops::RangeInclusive;

use super::Config;
use crate::model::usage::{MAX_BYTES, MAX_MESSAGES};

/// The most keys that memory can be reserved for: 16 million take gigabytes.
pub const MAX_PLACES: usize = 16_000_000;

const YEAR_SECONDS: u64 = 365 * 24 * 3600;
const CENTURY_HOURS: u64 = 100 * 365 * 24;
const HOUR_SECONDS: u64 = 3600;
const MOST_CREATIONS: u64 = 1_000_000;

/// The bounds of one setting.
#[derive(Debug)]
pub struct Bounds {
    /// Its long flag, without the dashes in front.
    pub setting: &'static str,
    range: RangeInclusive<u64>,
    /// Another setting in the table below that this one may not be lower than.
    floor: Option<&'static str>,
    /// The unit, with a space in front; empty for plain numbers.
    unit: &'static str,
    value: fn(&Config) -> Option<u64>,
}

/// Every setting that has bounds.
pub static BOUNDS: [Bounds; 12] = [
    Bounds {
        setting: "max-sessions",
        range: 1..=MAX_PLACES as u64,
        floor: None,
        unit: "",
        value: |config| Some(config.reloadable.max_sessions as u64),
    },
    Bounds {
        setting: "session-ttl",
        range: 1..=YEAR_SECONDS,
        floor: None,
        unit: " seconds",
        value: |config| Some(config.reloadable.session_ttl.as_secs()),
    },
    Bounds {
        setting: "session-max-lifetime",
        range: 1..=YEAR_SECONDS,
        floor: Some("session-ttl"),
        unit: " seconds",
        value: |config| Some(config.reloadable.session_max_lifetime.as_secs()),
    },
    Bounds {
        setting: "session-idle",
        range: 1..=YEAR_SECONDS,
        floor: None,
        unit: " seconds",
        value: |config| config.reloadable.session_idle.map(|idle| idle.as_secs()),
    },
    Bounds {
        setting: "key-max-messages",
        range: 1..=MAX_MESSAGES,
        floor: None,
        unit: "",
        value: |config| Some(config.reloadable.key_limits.messages),
    },
    Bounds {
        setting: "key-max-bytes",
        range: 1..=MAX_BYTES,
        floor: None,
        unit: "",
        value: |config| Some(config.reloadable.key_limits.bytes),
    },
    Bounds {
        setting: "key-ttl",
        range: 0..=CENTURY_HOURS,
        floor: None,
        unit: " hours",
        value: |config| Some(config.reloadable.key_ttl_hours),
    },
    Bounds {
        setting: "exchange-timeout",
        range: 1..=HOUR_SECONDS,
        floor: None,
        unit: " seconds",
        value: |config| Some(config.reloadable.exchange_timeout.as_secs()),
    },
    Bounds {
        setting: "confirm-timeout",
        range: 1..=HOUR_SECONDS,
        floor: None,
        unit: " seconds",
        value: |config| Some(config.reloadable.confirm_timeout.as_secs()),
    },
    Bounds {
        setting: "body-timeout",
        range: 1..=HOUR_SECONDS,
        floor: None,
        unit: " seconds",
        value: |config| Some(config.fixed.body_timeout.as_secs()),
    },
    Bounds {
        setting: "create-rate",
        range: 1..=MOST_CREATIONS,
        floor: None,
        unit: " a second",
        value: |config| Some(config.reloadable.access.creations.rate.into()),
    },
    Bounds {
        setting: "create-burst",
        range: 1..=MOST_CREATIONS,
        floor: None,
        unit: "",
        value: |config| Some(config.reloadable.access.creations.burst.into()),
    },
];

impl Bounds {
    /// The value of the setting, if it has one.
    pub fn value(&self, config: &Config) -> Option<u64> {
        (self.value)(config)
    }

    fn hold(&self, config: &Config) -> bool {
        let floor = BOUNDS.iter().find(|other| self.floor == Some(other.setting));
        let floor = floor.and_then(|other| other.value(config)).unwrap_or_default();
        self.value(config).is_none_or(|value| self.range.contains(&value) && value >= floor)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.floor {
            Some(floor) => write!(f, "from --{floor}")?,
            None => write!(f, "from {}", self.range.start())?,
        }
        write!(f, " to {}{}", self.range.end(), self.unit)
    }
}

/// A setting is out of its bounds.
#[derive(Debug, thiserror::Error)]
#[error("--{} must be {bounds}, and is {value}", bounds.setting)]
pub struct OutOfBounds {
    pub bounds: &'static Bounds,
    pub value: u64,
}

impl Config {
    /// Checks that every setting is within its bounds.
    ///
    /// # Errors
    /// The first setting that is not.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let wrong = BOUNDS.iter().find(|bounds| !bounds.hold(self));
        match wrong.and_then(|bounds| Some(OutOfBounds { bounds, value: bounds.value(self)? })) {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
