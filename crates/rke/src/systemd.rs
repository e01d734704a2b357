//! Communication between the daemon and systemd: systemd passes sockets that it has opened, and the daemon reports
//! that it is ready, stopping and still alive. Without systemd, nothing here has any effect. The socket to systemd
//! is opened first of all, because a running daemon cannot open unix sockets.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::{Context, Result};
use listenfd::ListenFd;
use rke_daemon::{Daemon, Inherited};
use sd_notify::NotifyState;

/// The variable with the address of systemd's socket.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

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

/// The connection to systemd, if systemd started the daemon.
pub(crate) struct Systemd(Option<UnixDatagram>);

impl Systemd {
    /// Connects. Call this before the process is confined.
    pub(crate) fn connect() -> Self {
        let connected = std::env::var_os(NOTIFY_SOCKET).map(|path| connected_to(&path)).transpose();
        Self(connected.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot reach systemd, which will not learn how the daemon is doing");
            None
        }))
    }

    /// Reports that the daemon now answers requests.
    pub(crate) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Reports that the daemon is reading its configuration again.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot tell systemd that the configuration is read again"),
        }
    }

    /// Reports that the daemon is stopping.
    pub(crate) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Reports to systemd's watchdog that the daemon is alive, as often as the watchdog requires. A daemon that
    /// hangs reports nothing, and systemd restarts it.
    pub(crate) async fn feed_watchdog(&self, daemon: &Daemon) {
        let Some(interval) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
        loop {
            daemon.prove_alive();
            self.tell(&[NotifyState::Watchdog]);
            tokio::time::sleep((interval / 3).max(Duration::from_millis(100))).await;
        }
    }

    fn tell(&self, states: &[NotifyState]) {
        let Some(socket) = &self.0 else { return };
        let mut message = String::new();
        for state in states {
            let _ = writeln!(message, "{state}");
        }
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::warn!(%error, "cannot tell systemd how the daemon is doing");
        }
    }
}

/// Connects to a path, or to an abstract name if it begins with `@`.
fn connected_to(path: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(path)?,
    }
    Ok(socket)
}
