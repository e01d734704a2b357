//! The results of the scans in one table, and whether they are as expected.

use std::collections::BTreeMap;

use clap::ValueEnum;

use crate::process::Scan;
use crate::subject::Plan;

/// The expected result of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// No trace of any secret.
    Nothing,
    /// Every secret that is in use, or the scanner is blind.
    Everything,
    /// In one of the scans at least: a broken rule does not show every time.
    Something,
}

#[derive(Default)]
struct Tally {
    scans: usize,
    /// Scans with at least one hit.
    dirty: usize,
    hits: BTreeMap<String, usize>,
    bytes: u64,
    expected: Option<Expected>,
}

impl Tally {
    /// What was found, wherever it was, and how often.
    fn found(&self) -> String {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for (hit, count) in &self.hits {
            let what = hit.split_once(" in ").map_or(hit.as_str(), |(what, _)| what);
            *found.entry(what).or_default() += count;
        }
        let found: Vec<String> = found.iter().map(|(what, count)| format!("{what} ({count})")).collect();
        found.join(", ")
    }
}

/// All scans so far, by scenario and moment.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(String, Tally)>,
    failures: Vec<String>,
    not_run: Vec<(Limit, String)>,
    known_limits: Vec<Limit>,
}

/// A scan that the machine may not permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Limit {
    /// The kernel writes no core dump into the process's own folder.
    CoreDumps,
    /// There can be no swap file.
    Swap,
}

impl Report {
    /// A report of scans on a machine that is known to have these limits.
    pub(crate) fn on_a_machine_with(known_limits: Vec<Limit>) -> Self {
        Self { known_limits, ..Self::default() }
    }

    pub(crate) fn add(
        &mut self,
        plan: &Plan<'_>,
        scenario: &str,
        moment: &str,
        expected: Expected,
        scan: &Scan,
    ) {
        let name = format!("{:<10} {scenario:<22} {moment:<6}", plan.memory_name());
        self.add_row(&name, expected, scan);
    }

    pub(crate) fn add_row(&mut self, name: &str, expected: Expected, scan: &Scan) {
        let at = self.rows.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.rows.push((name.to_owned(), Tally::default()));
            self.rows.len() - 1
        });
        let row = &mut self.rows[at].1;
        row.scans += 1;
        row.dirty += usize::from(scan.count() > 0);
        row.bytes += scan.scanned_bytes;
        row.expected = Some(expected);
        scan.hits.iter().for_each(|(place, hits)| *row.hits.entry(place.clone()).or_default() += hits);
        if expected == Expected::Nothing && scan.count() > 0 {
            self.failures.push(format!("{name}: {} hits: {:?}", scan.count(), scan.hits));
        }
        if expected == Expected::Everything && (scan.count() == 0 || !scan.missed.is_empty()) {
            self.failures.push(format!("{name}: not found, though it is in use: {:?}", scan.missed));
        }
    }

    /// Whether a scan of a name has hit that.
    pub(crate) fn has_hit(&self, name: &str, what: &str) -> bool {
        let rows = self.rows.iter().filter(|(known, _)| known.contains(name));
        rows.flat_map(|(_, row)| row.hits.keys()).any(|hit| hit.starts_with(what))
    }

    /// A scan that could not be made, and what the machine said.
    pub(crate) fn not_run(&mut self, limit: Limit, what: impl Into<String>) {
        self.not_run.push((limit, what.into()));
    }

    /// A failure outside the scans.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    /// Prints the table and says whether all is as it must be.
    pub(crate) fn finish(mut self) -> bool {
        println!(
            "{:<42} {:>6} {:>6} {:>9} {:>9}",
            "memory     scenario               moment", "scans", "dirty", "MB each", "must be"
        );
        for (name, row) in &self.rows {
            let megabytes = row.bytes as f64 / 1e6 / row.scans as f64;
            let expected = match row.expected {
                Some(Expected::Everything) => "all found",
                Some(Expected::Something) => "dirty",
                Some(Expected::Nothing) | None => "clean",
            };
            println!("{name:<42} {:>6} {:>6} {megabytes:>9.1} {expected:>9}", row.scans, row.dirty);
            if row.expected == Some(Expected::Something) && row.dirty == 0 {
                self.failures.push(format!("{name}: nothing was found, where something must be"));
            }
        }
        for (name, row) in self.rows.iter().filter(|(_, row)| row.expected != Some(Expected::Nothing)) {
            println!("{name} found: {}", row.found());
        }
        for (limit, what) in &self.not_run {
            println!("NOT RUN on this machine: {what}");
            if !self.known_limits.contains(limit) {
                let name =
                    limit.to_possible_value().map_or_else(String::new, |value| value.get_name().into());
                self.failures
                    .push(format!("a scan was not run: {what}; where that is known, say --without {name}"));
            }
        }
        self.failures.iter().for_each(|failure| println!("FAILED: {failure}"));
        self.failures.is_empty()
    }
}
