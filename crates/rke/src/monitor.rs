//! `--metrics` of a RAIDA node and of a Content Server.

use std::sync::Arc;

use anyhow::Result;
use rke_daemon::Monitor;
use rke_host::monitored::{LastReload, Monitored};

use crate::local_address::LocalAddress;
use crate::terminal::say;

/// Refuses an address that other machines can reach, before the program says that it listens.
pub(crate) fn check(wanted: Option<&LocalAddress>) -> Result<()> {
    if let Some(wanted) = wanted {
        Monitor::check(&wanted.listen(None))?;
    }
    Ok(())
}

/// Shows a program's metrics and health, if that is wanted, and says where.
pub(crate) async fn start(
    wanted: Option<&LocalAddress>,
    program: &Arc<dyn Monitored>,
    last_reload: &Arc<LastReload>,
) -> Result<Option<Monitor>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let monitor = Monitor::start(&wanted.listen(None), program, last_reload).await?;
    if let Some(path) = monitor.socket() {
        say(&format!("Its metrics are at unix:{}", path.display()));
    }
    if let Some(address) = monitor.address() {
        say(&format!("Its metrics are at http://{address}/metrics"));
    }
    Ok(Some(monitor))
}

/// Stops to show them. The program is no longer used when this returns.
pub(crate) async fn stop(monitor: Option<Monitor>) {
    if let Some(monitor) = monitor {
        monitor.stop().await;
    }
}
