//! Metrics in the text format of Prometheus, as the programs of this project write it.

use serde_json::{Value, json};

/// The samples of a program.
pub(super) struct Sheet(Vec<Sample>);

struct Sample {
    name: String,
    /// As they stand in the text: `kind="tunnel",outcome="cut"`.
    labels: String,
    value: f64,
}

impl Sheet {
    /// Reads the text. `None` if it is not such a text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(Sample::read).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }

    /// The sum of the metric's samples that have this label. Without a label, of all of them.
    pub(super) fn of(&self, name: &str, label: &str) -> f64 {
        let is_meant = |sample: &&Sample| sample.name == name && (label.is_empty() || sample.has(label));
        // The sum of no samples would be -0.
        self.0.iter().filter(is_meant).map(|sample| sample.value).sum::<f64>() + 0.0
    }

    pub(super) fn in_json(&self) -> Value {
        self.0
            .iter()
            .map(|sample| {
                let labels = sample.labels().filter_map(|label| label.split_once('='));
                let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').into()));
                let labels = Value::Object(labels.collect());
                json!({"name": sample.name, "labels": labels, "value": sample.value})
            })
            .collect()
    }
}

impl Sample {
    fn read(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        Some(Self { name: name.to_owned(), labels: labels.to_owned(), value: value.parse().ok()? })
    }

    /// No value has a comma.
    fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.split(',').filter(|label| !label.is_empty())
    }

    fn has(&self, label: &str) -> bool {
        self.labels().any(|own| own == label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_label() {
        let text = "# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\na_total{x=\"2\",y=\"3\"} 8\nb 1.5\n";
        let sheet = Sheet::read(text).expect("metrics");
        assert_eq!(
            (sheet.of("a_total", ""), sheet.of("a_total", "x=\"1\""), sheet.of("b", "")),
            (15.0, 7.0, 1.5)
        );
        assert_eq!(sheet.of("c", "").to_string(), "0");
        assert!(sheet.has("b") && !sheet.has("c"));
        assert_eq!(sheet.in_json()[3], json!({"name": "b", "labels": {}, "value": 1.5}));
        assert_eq!(sheet.in_json()[0]["labels"]["y"], "2");
        assert!(Sheet::read("<html>").is_none());
    }
}
