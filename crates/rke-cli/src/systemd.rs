//! What the daemon and systemd tell each other: sockets that systemd has opened, that the daemon is
//! ready or stopping, and that it is still alive. Without systemd all of it does nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use listenfd::ListenFd;
use rke_daemon::{Daemon, Inherited};
use sd_notify::{NotifyState, notify};

/// The sockets that systemd has opened for this process.
pub(crate) fn inherited() -> Result<Inherited> {
    let mut passed = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for at in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_tcp_listener(at) {
            inherited.tcp.push(listener);
        } else {
            let listener = passed.take_unix_listener(at);
            let listener =
                listener.context("a socket that systemd passed is neither for TCP nor a unix socket")?;
            inherited.unix.extend(listener);
        }
    }
    Ok(inherited)
}

/// Says that requests are answered from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the configuration is being read again.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot tell systemd that the configuration is read again"),
    }
}

/// Says that the daemon is on its way out.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells systemd's watchdog that the daemon is alive, as often as it wants to know. A daemon that
/// hangs tells nothing, and is started anew.
pub(crate) async fn feed_watchdog(daemon: &Daemon) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        daemon.prove_alive();
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep((interval / 3).max(Duration::from_millis(100))).await;
    }
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = notify(state) {
        tracing::warn!(%error, "cannot tell systemd how the daemon is doing");
    }
}
