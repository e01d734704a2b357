//! `Accept` of a request for metrics. Prometheus lists the formats that it reads, with weights.

use axum::http::{HeaderMap, header};

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus. It is for everyone who does not ask for OpenMetrics: older programs name no
    /// format, and read no other.
    Text,
}

impl Format {
    /// The format that a request asks for.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range<'_>> = values.flat_map(|value| value.split(',')).map(Range::parse).collect();
        let open_metrics = ranges.iter().filter(|range| range.is_open_metrics());
        let weight = open_metrics.map(|range| range.weight).max().unwrap_or(0);
        let text = ["text/plain", "text/*", "*/*"].into_iter().find_map(|name| {
            ranges
                .iter()
                .filter(|range| range.name.eq_ignore_ascii_case(name))
                .map(|range| range.weight)
                .max()
        });
        match weight > 0 && weight >= text.unwrap_or(0) {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A media range, with its weight in thousandths.
struct Range<'a> {
    name: &'a str,
    version: Option<&'a str>,
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { name: parts.next().unwrap_or_default(), version: None, weight: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim_end().to_ascii_lowercase().as_str() {
                "q" => range.weight = weight(value.trim()),
                "version" => range.version = Some(value.trim().trim_matches('"')),
                _ => (),
            }
        }
        range
    }

    fn is_open_metrics(&self) -> bool {
        self.name.eq_ignore_ascii_case("application/openmetrics-text")
            && matches!(self.version, None | Some("1.0.0"))
    }
}

/// A weight in thousandths: 0 if it cannot be read.
fn weight(text: &str) -> u16 {
    let weight = text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight));
    weight.map_or(0, |weight: f32| (weight * 1000.0) as u16)
}

#[cfg(test)]
mod tests;
