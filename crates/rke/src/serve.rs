//! `rke serve`: the daemon until it is told to stop.

use anyhow::Result;
use rke_daemon::Daemon;

use crate::settings::{ServeOptions, ServeSettings};
use crate::{log, protection, signals};

pub(crate) fn run(options: ServeOptions) -> Result<()> {
    let ServeSettings { daemon, protection, log, log_format } = options.settle()?;
    log::start(&log, log_format)?;
    protection::start_runtime(protection, daemon.max_sessions)?.block_on(async {
        let mut stop = signals::Stop::listen()?;
        let daemon = Daemon::start(daemon).await?;
        stop.wait().await;
        daemon.stop().await;
        Ok(())
    })
}
