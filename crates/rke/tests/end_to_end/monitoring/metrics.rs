//! Reads what `/metrics` responds, in either format, and compares it with the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::Answer;

/// The type of OpenMetrics, as `Accept` and `Content-Type` name it.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The type of the older format.
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A sample line: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

/// The metrics of a program, parsed strictly, for the part of both formats that the programs use.
pub(crate) struct Metrics {
    /// The type of each metric, by its name in the HELP and TYPE lines.
    types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Metrics {
    pub(crate) fn read(answer: &Answer) -> Self {
        let is_open_metrics = answer.header("content-type") == Some(OPENMETRICS);
        let text = answer.body.as_str();
        let text =
            if is_open_metrics { text.strip_suffix("# EOF\n").expect("the end is marked") } else { text };
        let (mut types, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => assert!(helped.insert(name) && help.ends_with('.'), "{line}"),
                ["#", "TYPE", name, kind] => {
                    assert!(helped.contains(name), "{line}");
                    // The older format names a counter with its suffix.
                    let bare = if is_open_metrics { None } else { name.strip_suffix("_total") };
                    assert_eq!(types.insert(bare.unwrap_or(name).to_owned(), kind.to_owned()), None);
                }
                ["#", "UNIT", name, unit] if is_open_metrics => {
                    assert!(name.ends_with(&format!("_{unit}")), "{line}")
                }
                ["#", ..] => panic!("{line}"),
                _ => samples.push(sample(line)),
            }
        }
        assert_eq!(types.len(), helped.len());
        let metrics = Self { types, samples };
        metrics.check();
        metrics
    }

    /// Every sample belongs to a metric of the right type and occurs once, and histograms add up.
    fn check(&self) {
        let mut seen = BTreeSet::new();
        for (name, labels, value) in &self.samples {
            assert!(seen.insert((name, labels)), "twice: {name} {labels:?}");
            let suffixes = ["", "_total", "_info", "_bucket", "_sum", "_count"];
            let kinds = suffixes
                .iter()
                .filter_map(|suffix| Some((*suffix, self.types.get(name.strip_suffix(suffix)?)?.as_str())));
            let fits = |(suffix, kind): (&str, &str)| match kind {
                "counter" => suffix == "_total",
                "info" => suffix == "_info",
                "gauge" => suffix.is_empty(),
                "histogram" => matches!(suffix, "_bucket" | "_sum" | "_count"),
                _ => false,
            };
            assert!(kinds.into_iter().any(fits), "{name} fits no type");
            assert!(value.is_finite() && *value >= 0.0, "{name} {value}");
        }
        for name in self.types.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            for (_, labels, count) in self.of(&format!("{name}_count")) {
                self.check_histogram(name, labels, *count);
            }
        }
    }

    fn check_histogram(&self, name: &str, labels: &BTreeMap<String, String>, count: f64) {
        let buckets: Vec<(f64, f64)> = self
            .of(&format!("{name}_bucket"))
            .filter(|(_, with_le, _)| labels.iter().all(|(name, value)| with_le.get(name) == Some(value)))
            .map(|(_, labels, value)| (labels["le"].parse().expect("a bound"), *value))
            .collect();
        assert!(
            buckets.len() > 2 && buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1)
        );
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name} {labels:?}");
    }

    /// The names and labels of all samples.
    pub(crate) fn series(&self) -> BTreeSet<(&str, &BTreeMap<String, String>)> {
        self.samples.iter().map(|(name, labels, _)| (name.as_str(), labels)).collect()
    }

    fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Sample> {
        let name = name.to_owned();
        self.samples.iter().filter(move |(of, ..)| *of == name)
    }

    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|of| of == value))
        };
        let mut found = self.of(name).filter(|(_, labels, _)| wanted(labels));
        let (.., value) = found.next().unwrap_or_else(|| panic!("no {name} {labels:?}"));
        assert!(found.next().is_none(), "more than one {name} {labels:?}");
        *value
    }
}

fn sample(line: &str) -> Sample {
    let (name, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match name.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("closed")),
        None => (name, ""),
    };
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
    let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').expect("a label");
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quoted");
        assert!(!value.contains(['"', '\\']), "{line}");
        (name.to_owned(), value.to_owned())
    });
    (name.to_owned(), pairs.collect(), value.parse().expect("a number"))
}

/// The table in a chapter of a document and the output have the same metrics with the same labels.
pub(crate) fn assert_documented(metrics: &Metrics, document: &str, chapter: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let text = fs::read_to_string(docs.join(document)).expect("docs");
    let chapter = format!("\n## {chapter}\n");
    let table = text.split(&chapter).nth(1).expect("a chapter").split("\n## ").next().expect("its text");
    let mut documented = BTreeMap::new();
    let words =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    for row in table.lines() {
        if let [name, kind, labels, meaning] =
            row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()[..]
        {
            // The programs of the tests have neither guardians nor a shared store.
            let is_missing = meaning.contains("Missing without `--");
            for name in words(name).into_iter().filter(|_| !is_missing) {
                documented.insert(name, (kind.to_owned(), words(labels)));
            }
        }
    }
    let mut shown = BTreeMap::new();
    for (name, kind) in &metrics.types {
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let samples = metrics.samples.iter().filter(|(of, ..)| of.starts_with(name.as_str()));
        let labels = samples.flat_map(|(_, labels, _)| labels.keys().cloned()).filter(|label| label != "le");
        shown.insert(format!("{name}{suffix}"), (kind.clone(), labels.collect::<BTreeSet<_>>()));
    }
    assert_eq!(documented, shown);
}
