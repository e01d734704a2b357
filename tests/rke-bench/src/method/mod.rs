//! How a ratio is measured: peer, ours, peer, one after the other, because a machine's speed changes from one moment
//! to the next. If the two runs of the peer differ, the triple is discarded.

use anyhow::Result;

/// How much the two runs of the peer may differ.
const MOST_DIFFERENCE: f64 = 0.08;

/// How often one measures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Triples that make a number.
    wanted: usize,
    /// Triples after which the machine counts as unsteady.
    most_tries: usize,
}

impl Pace {
    /// For measurements of a fifth of a second: the machine's speed seldom changes within one, and many other triples
    /// remain if it does.
    pub(crate) const BRIEF: Self = Self { wanted: 25, most_tries: 75 };

    /// For those that need a second or more.
    pub(crate) const LONG: Self = Self { wanted: 5, most_tries: 15 };
}

/// The next to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Peer,
    Ours,
}

/// One measurement of ours between two of the peer.
pub(crate) struct Triple<T> {
    before: T,
    ours: T,
    after: T,
}

/// The triples that count.
pub(crate) struct Triples<T> {
    kept: Vec<Triple<T>>,
    /// Whether enough of them were steady. If not, all count.
    pub(crate) steady: bool,
}

/// A median with the range around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of nothing it is not a number, and no goal is met by that.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { median: (at(last / 2) + at(last.div_ceil(2))) / 2.0, min: at(0), max: at(last) }
    }
}

/// Measures until there are enough triples in which the peer was steady, as `speed` tells.
pub(crate) fn triples<T>(
    pace: Pace,
    speed: impl Fn(&T) -> f64,
    mut measure: impl FnMut(Side) -> Result<T>,
) -> Result<Triples<T>> {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for _ in 0..pace.most_tries {
        let before = measure(Side::Peer)?;
        let ours = measure(Side::Ours)?;
        let triple = Triple { before, ours, after: measure(Side::Peer)? };
        let steady = difference(speed(&triple.before), speed(&triple.after)) <= MOST_DIFFERENCE;
        if steady { &mut kept } else { &mut dropped }.push(triple);
        if kept.len() == pace.wanted {
            return Ok(Triples { kept, steady: true });
        }
    }
    kept.append(&mut dropped);
    Ok(Triples { kept, steady: false })
}

fn difference(one: f64, other: f64) -> f64 {
    (one - other).abs() / ((one + other) / 2.0)
}

impl<T> Triples<T> {
    /// Ours by the peer's.
    pub(crate) fn ratio(&self, metric: impl Fn(&T) -> f64) -> Spread {
        Spread::of(self.kept.iter().map(|triple| {
            let peer = (metric(&triple.before) + metric(&triple.after)) / 2.0;
            metric(&triple.ours) / peer
        }))
    }

    pub(crate) fn ours(&self, metric: impl Fn(&T) -> f64) -> f64 {
        Spread::of(self.kept.iter().map(|triple| metric(&triple.ours))).median
    }

    pub(crate) fn peer(&self, metric: impl Fn(&T) -> f64) -> f64 {
        let both = self.kept.iter().flat_map(|triple| [&triple.before, &triple.after]);
        Spread::of(both.map(metric)).median
    }
}

#[cfg(test)]
mod tests;
