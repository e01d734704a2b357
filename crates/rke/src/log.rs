//! The log: to standard error, as text or JSON.

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("--log {filter:?} is not a log filter"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
