//! How `/metrics` writes its values: in the format that `Accept` asks for, OpenMetrics or the older text format of
//! Prometheus. And the metrics that every program has.

mod accept;

use std::sync::atomic::AtomicU64;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use rke_engine::histogram::Counted;
use rke_host::monitored::{LastReload, Metric, MetricKind, Sample};
use rke_secret::MemoryReport;

use self::accept::Format;
use crate::http::message::failure::Failure;

/// A label of a histogram.
pub(super) type Label = [(&'static str, String); 1];

/// The values of a registry, in the format that the request asks for.
pub(super) fn answer(registry: &Registry, headers: &HeaderMap) -> Result<Response, Failure> {
    let mut text = String::new();
    encode(&mut text, registry).map_err(|_| Failure::internal())?;
    let format = Format::wanted(headers);
    let text = match format {
        Format::OpenMetrics => text,
        Format::Text => without_openmetrics(&text),
    };
    Ok(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
}

/// Text of OpenMetrics in the older format: the comments name counters and infos with their suffix, and there are
/// neither units nor a mark at the end.
fn without_openmetrics(text: &str) -> String {
    let (mut out, mut help) = (String::with_capacity(text.len()), "");
    for line in text.lines() {
        if let Some(of_next) = line.strip_prefix("# HELP ") {
            help = of_next;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.rsplit_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            let help = help.strip_prefix(name).unwrap_or_default();
            out.extend(["# HELP ", name, suffix, help, "\n# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            out.extend([line, "\n"]);
        }
    }
    out
}

/// Whether a program can take work, as `/health/ready` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Unready,
}

impl Readiness {
    /// Ready without a fault.
    pub(super) fn of(faults: &[&'static str]) -> Self {
        if faults.is_empty() { Self::Ready } else { Self::Unready }
    }
}

/// Adds what every program shows of its process.
pub(super) fn add_process(
    registry: &mut Registry,
    started: Timestamp,
    readiness: Readiness,
    last_reload: &LastReload,
) {
    let time = Gauge::<f64, AtomicU64>::default();
    time.set(started.as_duration().as_secs_f64());
    registry.register_with_unit("process_start_time", "When the program began to serve", Unit::Seconds, time);
    let ours = registry.sub_registry_with_prefix("rke");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    ours.register("build", "The program's version", build);
    let ready: Gauge = Gauge::default();
    ready.set((readiness == Readiness::Ready).into());
    ours.register("ready", "1 if the program can take work", ready);
    let reloaded: Gauge = Gauge::default();
    reloaded.set((!last_reload.was_refused()).into());
    let help = "1 if the program has taken the settings that it read last";
    ours.register("config_last_reload_successful", help, reloaded);
    let bytes = MemoryReport::now().map_or(0, |report| report.bytes);
    let memory: Gauge = Gauge::default();
    memory.set(bytes as i64);
    ours.register_with_unit("secret_memory", "Memory reserved for secrets", Unit::Bytes, memory);
}

/// Adds a program's own metrics.
pub(super) fn add_all(registry: &mut Registry, metrics: Vec<Metric>) {
    for metric in metrics {
        registry.register(metric.name, metric.help, Shown(metric));
    }
}

/// A metric, in the form in which it is shown.
#[derive(Debug)]
struct Shown(Metric);

impl EncodeMetric for Shown {
    fn encode(&self, mut encoder: MetricEncoder) -> std::fmt::Result {
        self.0.samples.iter().try_for_each(|Sample { labels, value }| match labels.is_empty() {
            true => encode_value(&mut encoder, self.0.kind, *value),
            false => encode_value(&mut encoder.encode_family(labels)?, self.0.kind, *value),
        })
    }

    fn metric_type(&self) -> MetricType {
        match self.0.kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
        }
    }
}

fn encode_value(encoder: &mut MetricEncoder, kind: MetricKind, value: u64) -> std::fmt::Result {
    match kind {
        MetricKind::Counter => encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None),
        MetricKind::Gauge => encoder.encode_gauge(&(value as i64)),
    }
}

/// Counted durations, in the form in which they are shown.
#[derive(Debug)]
pub(super) enum Times {
    Single(Counted),
    Family(Vec<(Label, Counted)>),
}

impl EncodeMetric for Times {
    fn encode(&self, mut encoder: MetricEncoder) -> std::fmt::Result {
        match self {
            Self::Single(times) => encode_times(&mut encoder, times),
            Self::Family(family) => family
                .iter()
                .try_for_each(|(label, times)| encode_times(&mut encoder.encode_family(label)?, times)),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn encode_times(encoder: &mut MetricEncoder, times: &Counted) -> std::fmt::Result {
    encoder.encode_histogram::<NoLabelSet>(times.sum, times.total(), &times.buckets, None)
}

#[cfg(test)]
mod tests;
