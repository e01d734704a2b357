//! How long each of many things took.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// Nothing that is measured takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Times, to three digits.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3);
        histogram.map(Self).context("no histogram")
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.saturating_record(time.as_nanos() as u64);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Microseconds within which half of them lie.
    pub(crate) fn p50(&self) -> f64 {
        self.within(0.5)
    }

    /// Microseconds within which all but one in a hundred lie.
    pub(crate) fn p99(&self) -> f64 {
        self.within(0.99)
    }

    /// Microseconds of the longest.
    pub(crate) fn longest(&self) -> f64 {
        self.within(1.0)
    }

    fn within(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1e3
    }
}

#[cfg(test)]
mod tests;
