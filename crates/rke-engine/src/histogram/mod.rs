//! Durations counted in buckets. Counting takes two atomic additions and no lock, so it suits what happens on every
//! request. The buckets are the same everywhere, so that they can be compared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of all buckets except the last, in microseconds.
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Counted durations.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The counts up to some moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Upper bound in seconds and count of each bucket; the last has no bound.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all durations, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&self, duration: Duration) {
        let micros = duration.as_micros().try_into().unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn counted(&self) -> Counted {
        let bounds = BOUNDS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Counted { buckets: bounds.zip(counts).collect(), sum: seconds(self.micros.load(Ordering::Relaxed)) }
    }
}

impl Counted {
    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests;
