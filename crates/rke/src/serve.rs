//! `rke serve`: the daemon until it is told to stop.

use anyhow::Result;
use rke_daemon::Daemon;

use crate::settings::{ServeOptions, ServeSettings};
use crate::signals::{Order, Orders};
use crate::{log, protection, systemd};

pub(crate) fn run(options: ServeOptions) -> Result<()> {
    let ServeSettings { daemon, protection, log, log_format } = options.settle()?;
    log::start(&log, log_format)?;
    protection::start_runtime(protection, daemon.max_sessions)?.block_on(async {
        let mut orders = Orders::listen()?;
        let daemon = Daemon::start_on(daemon, systemd::inherited()?).await?;
        systemd::ready();
        tokio::select! {
            () = obey(&daemon, &mut orders) => (),
            () = systemd::feed_watchdog(&daemon) => (),
        }
        systemd::stopping();
        daemon.stop().await;
        Ok(())
    })
}

/// Does what signals ask for until one asks to stop.
pub(crate) async fn obey(daemon: &Daemon, orders: &mut Orders) {
    loop {
        match orders.next().await {
            Order::Stop => return,
            Order::DropEverything => daemon.drop_everything().await,
        }
    }
}
