//! The log: to standard error, as text or JSON. The filter can be changed while the program runs.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Error;

use crate::settings::LogFormat;

type Change = dyn Fn(EnvFilter) -> Result<(), Error>;

/// Changes the filter of the log.
pub(crate) struct LogFilter(Box<Change>);

impl LogFilter {
    /// Applies this filter from now on.
    pub(crate) fn change(&self, filter: EnvFilter) -> Result<()> {
        self.0(filter).context("cannot change what is logged")
    }
}

pub(crate) fn start(filter: &str, format: LogFormat) -> Result<LogFilter> {
    // A line that cannot be written is lost. Reporting that, on the same standard error, would panic.
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).log_internal_errors(false);
    let filter = parse(filter)?;
    Ok(match format {
        LogFormat::Text => {
            let builder = builder.with_target(false).with_ansi(has_colours()).with_env_filter(filter);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            LogFilter(Box::new(move |filter| handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder.json().with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            LogFilter(Box::new(move |filter| handle.reload(filter)))
        }
    })
}

/// Colours are for terminals, not for files.
fn has_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// The DNSSEC validator puts whole DNS responses into its warnings. Our own messages describe the problem instead.
const QUIET: &str = "hickory_net::dnssec=error";

/// Parses the value of `--log`.
pub(crate) fn parse(filter: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .with_context(|| format!("--log {filter:?} is not a log filter"))
}
