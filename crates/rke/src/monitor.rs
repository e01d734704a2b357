//! `--metrics` of a RAIDA node and of a Content Server.

use std::sync::Arc;

use anyhow::Result;
use rke_daemon::{Monitor, MonitorListener};
use rke_host::monitored::{LastReload, Monitored};

use crate::local_address::LocalAddress;
use crate::terminal::say;

/// Refuses an address that other machines can reach. It opens nothing.
pub(crate) fn check(wanted: Option<&LocalAddress>) -> Result<()> {
    if let Some(wanted) = wanted {
        MonitorListener::check(&wanted.listen(None))?;
    }
    Ok(())
}

/// Listens for those who monitor a program, if that is wanted. Call this before the program starts: it may fail.
pub(crate) async fn listen(wanted: Option<&LocalAddress>) -> Result<Option<MonitorListener>> {
    let Some(wanted) = wanted else { return Ok(None) };
    Ok(Some(MonitorListener::bind(&wanted.listen(None)).await?))
}

/// Shows them the program's metrics and health.
pub(crate) fn start(
    listener: Option<MonitorListener>,
    program: &Arc<dyn Monitored>,
    last_reload: &Arc<LastReload>,
) -> Option<Monitor> {
    listener.map(|listener| Monitor::start(listener, program, last_reload))
}

/// Says where they are shown, if they are.
pub(crate) fn tell_where(monitor: Option<&Monitor>) {
    let Some(monitor) = monitor else { return };
    if let Some(path) = monitor.socket() {
        say(&format!("Its metrics are at unix:{}", path.display()));
    }
    if let Some(address) = monitor.address() {
        say(&format!("Its metrics are at http://{address}/metrics"));
    }
}

/// Stops to show them. The program is no longer used when this returns.
pub(crate) async fn stop(monitor: Option<Monitor>) {
    if let Some(monitor) = monitor {
        monitor.stop().await;
    }
}
