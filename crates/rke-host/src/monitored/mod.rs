//! What a running program shows to those who monitor it: its metrics, and what keeps it from taking work. Counters are
//! by kinds that are fixed in advance, so that nobody outside can make up a label.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A program that is monitored.
pub trait Monitored: Send + Sync {
    /// Its metrics at this moment.
    fn metrics(&self) -> Vec<Metric>;

    /// What keeps it from taking work. Nothing: it is ready. May block on the file system.
    fn faults(&self) -> Vec<&'static str>;
}

/// Whether a program took the settings that it read again last. Before the first time, it has those of its start.
#[derive(Debug, Default)]
pub struct LastReload {
    refused: AtomicBool,
}

impl LastReload {
    /// Notes how it went.
    pub fn note<T, E>(&self, reloaded: &Result<T, E>) {
        self.refused.store(reloaded.is_err(), Ordering::Relaxed);
    }

    /// Whether the settings were wrong, so that those before them are in use.
    pub fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

/// A metric and its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Without the suffix that the format gives to counters.
    pub name: &'static str,
    /// What it is, without a full stop.
    pub help: &'static str,
    /// How to read it.
    pub kind: MetricKind,
    /// Its samples, each with labels of its own.
    pub samples: Vec<Sample>,
}

/// How to read a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, from 0 at the start of the program.
    Counter,
    /// A number that goes up and down.
    Gauge,
}

/// A value under labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Names and values.
    pub labels: Labels,
    /// The value.
    pub value: u64,
}

/// Names and values of labels.
pub type Labels = Vec<(&'static str, &'static str)>;

impl Metric {
    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::gauges(name, help, [(Labels::new(), value)])
    }

    /// A gauge with a sample for each of these labels.
    pub fn gauges(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> Self {
        let samples = samples.into_iter().map(|(labels, value)| Sample { labels, value }).collect();
        Self { name, help, kind: MetricKind::Gauge, samples }
    }

    /// A counter without labels.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        let samples = vec![Sample { labels: Labels::new(), value }];
        Self { name, help, kind: MetricKind::Counter, samples }
    }
}

/// The kinds of an event that are counted apart.
pub trait Kind: Copy {
    /// How many there are.
    const COUNT: usize;

    /// All of them, in order.
    fn all() -> impl Iterator<Item = Self>;

    /// Its place among all.
    fn index(self) -> usize;

    /// Its labels.
    fn labels(self) -> Labels;
}

impl<A: Kind, B: Kind> Kind for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn all() -> impl Iterator<Item = Self> {
        A::all().flat_map(|a| B::all().map(move |b| (a, b)))
    }

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn labels(self) -> Labels {
        [self.0.labels(), self.1.labels()].concat()
    }
}

/// Makes an enum whose values are the kinds of an event, with the name of its label and the value of each.
#[macro_export]
macro_rules! kinds {
    ($(#[$doc:meta])* $visible:vis $name:ident as $label:literal {
        $($(#[$of_variant:meta])* $variant:ident = $value:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum $name { $($(#[$of_variant])* $variant),* }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The value of its label.
            $visible fn name(self) -> &'static str {
                match self { $(Self::$variant => $value),* }
            }
        }

        impl $crate::monitored::Kind for $name {
            const COUNT: usize = Self::ALL.len();

            fn all() -> impl Iterator<Item = Self> {
                Self::ALL.iter().copied()
            }

            fn index(self) -> usize {
                self as usize
            }

            fn labels(self) -> $crate::monitored::Labels {
                vec![($label, self.name())]
            }
        }
    };
}

/// Counts events by their kind.
#[derive(Debug)]
pub struct Tally<K> {
    counts: Box<[AtomicU64]>,
    kinds: PhantomData<fn() -> K>,
}

impl<K: Kind> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: (0..K::COUNT).map(|_| AtomicU64::new(0)).collect(), kinds: PhantomData }
    }
}

impl<K: Kind> Tally<K> {
    /// Counts an event.
    pub fn add(&self, kind: K) {
        self.counts[kind.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were of this kind.
    pub fn of(&self, kind: K) -> u64 {
        self.counts[kind.index()].load(Ordering::Relaxed)
    }

    /// All counts. Kinds without an event are there with 0, so that a rate sees the first one.
    pub fn metric(&self, name: &'static str, help: &'static str) -> Metric {
        let samples = K::all().map(|kind| Sample { labels: kind.labels(), value: self.of(kind) });
        Metric { name, help, kind: MetricKind::Counter, samples: samples.collect() }
    }
}

#[cfg(test)]
mod tests;
