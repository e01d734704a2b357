//! What the daemon and systemd tell each other: sockets that systemd has opened, that the daemon is
//! ready or stopping, and that it is still alive. Without systemd all of it does nothing. What is said to systemd goes over
//! a socket that is opened first of all: a daemon that runs opens no unix sockets.

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

/// Where systemd says that it listens.
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

/// The line to systemd, where it has started the daemon.
pub(crate) struct Systemd(Option<UnixDatagram>);

impl Systemd {
    /// To be called before the process is confined.
    pub(crate) fn connect() -> Self {
        let connected = std::env::var_os(NOTIFY_SOCKET).map(|path| connected_to(&path)).transpose();
        Self(connected.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot reach systemd, which will not learn how the daemon is doing");
            None
        }))
    }

    /// Says that requests are answered from now on.
    pub(crate) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Says that the configuration is being read again.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot tell systemd that the configuration is read again"),
        }
    }

    /// Says that the daemon is on its way out.
    pub(crate) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Tells systemd's watchdog that the daemon is alive, as often as it wants to know. A daemon that
    /// hangs tells nothing, and is started again.
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

/// A path, or with an `@` a name that is none.
fn connected_to(path: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(path)?,
    }
    Ok(socket)
}
