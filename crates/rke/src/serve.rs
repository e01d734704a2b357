//! `rke serve`: the daemon until it is told to stop.

use anyhow::Result;
use rke_daemon::Daemon;

use crate::settings::{ServeOptions, ServeSettings};
use crate::{log, signals};

pub(crate) async fn run(options: ServeOptions) -> Result<()> {
    let ServeSettings { daemon, log, log_format } = options.settle()?;
    log::start(&log, log_format)?;
    let mut stop = signals::Stop::listen()?;
    let daemon = Daemon::start(daemon).await?;
    stop.wait().await;
    daemon.stop().await;
    Ok(())
}
