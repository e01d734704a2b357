//! The bounds of settings that are numbers. `docs/configuration.md` takes them from here.

use std::fmt;
use std::ops::RangeInclusive;

use super::Config;
use crate::model::usage::{MAX_BYTES, MAX_MESSAGES};

/// Most keys that room can be made for: at 16 million it takes gigabytes.
pub const MAX_PLACES: usize = 16_000_000;

const YEAR_SECONDS: u64 = 365 * 24 * 3600;
const CENTURY_HOURS: u64 = 100 * 365 * 24;
const HOUR_SECONDS: u64 = 3600;

/// The bounds of one setting.
#[derive(Debug)]
pub struct Bounds {
    /// Its long flag, without the dashes in front.
    pub setting: &'static str,
    range: RangeInclusive<u64>,
    /// Another setting, of the table below too, that it may not be lower than.
    floor: Option<&'static str>,
    /// What it is counted in, with a space in front; nothing for plain numbers.
    unit: &'static str,
    value: fn(&Config) -> Option<u64>,
}

/// Every setting that has bounds.
pub static BOUNDS: [Bounds; 10] = [
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
];

impl Bounds {
    /// The value that the setting has, where it has one.
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
    /// The bounds.
    pub bounds: &'static Bounds,
    /// The value.
    pub value: u64,
}

impl Config {
    /// Looks whether every setting is within its bounds.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let wrong = BOUNDS.iter().find(|bounds| !bounds.hold(self));
        match wrong.and_then(|bounds| Some(OutOfBounds { bounds, value: bounds.value(self)? })) {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wrong(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::new("/x".into());
        change(&mut config);
        config.check().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_within_the_bounds() {
        assert_eq!(wrong(|_| ()), "");
    }

    #[test]
    fn a_value_out_of_its_bounds_is_named_with_them() {
        assert_eq!(
            wrong(|config| config.reloadable.max_sessions = 0),
            "--max-sessions must be from 1 to 16000000, and is 0"
        );
        assert_eq!(
            wrong(|config| config.fixed.body_timeout = Duration::from_secs(3601)),
            "--body-timeout must be from 1 to 3600 seconds, and is 3601"
        );
        assert_eq!(wrong(|config| config.reloadable.key_ttl_hours = 0), "");
        assert_eq!(wrong(|config| config.reloadable.session_idle = Some(Duration::from_secs(1))), "");
        assert!(
            wrong(|config| config.reloadable.session_idle = Some(Duration::ZERO)).contains("--session-idle")
        );
    }

    #[test]
    fn a_session_can_live_at_least_as_long_as_without_being_renewed() {
        let lives = |seconds| {
            wrong(|config| {
                config.reloadable.session_ttl = Duration::from_secs(100);
                config.reloadable.session_max_lifetime = Duration::from_secs(seconds);
            })
        };
        assert_eq!(lives(100), "");
        assert_eq!(
            lives(99),
            "--session-max-lifetime must be from --session-ttl to 31536000 seconds, and is 99"
        );
    }
}
