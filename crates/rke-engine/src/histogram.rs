//! Durations counted in buckets, with two atomic additions for each and no lock: for what happens on
//! every request. The buckets are the same everywhere, so that they can be compared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of all buckets but the last, in microseconds.
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

/// What was counted up to some moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Upper bound in seconds and count of each bucket; the last has no bound.
    pub buckets: Vec<(f64, u64)>,
    /// All durations together, in seconds.
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

    /// What has been counted so far.
    pub fn counted(&self) -> Counted {
        let bounds = BOUNDS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Counted { buckets: bounds.zip(counts).collect(), sum: seconds(self.micros.load(Ordering::Relaxed)) }
    }
}

impl Counted {
    /// How many durations there were.
    pub fn total(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 1_000_000, 10_000_001, 3_600_000_000] {
            histogram.add(Duration::from_micros(micros));
        }
        let counted = histogram.counted();
        let filled: Vec<_> = counted.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.0001, 2), (0.00025, 1), (1.0, 1), (f64::INFINITY, 2)]);
        assert_eq!(counted.total(), 6);
        assert!((counted.sum - 3_611.000_202).abs() < 1e-6, "{}", counted.sum);
    }
}
