//! What signals tell the program to do. In a program with secrets, one thread waits for them, and they are blocked in all
//! others. No signal handler exists that could interrupt a thread while it uses a secret.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The order that a signal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM, SIGINT, SIGQUIT.
    Stop,
    /// SIGHUP: read the configuration again. For a program without one, SIGHUP means that the terminal is gone.
    Reload,
    /// SIGUSR1: wipe every key.
    DropEverything,
}

/// Receives the signals, which [`crate::protection`] has blocked.
pub(crate) struct Orders(UnboundedReceiver<Order>);

impl Orders {
    /// Starts to wait for signals.
    pub(crate) fn listen() -> Result<Self> {
        let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1];
        let signals: SigSet = signals.into_iter().collect();
        let (told, orders) = unbounded_channel();
        let wait = move || {
            loop {
                let order = match signals.wait() {
                    Ok(Signal::SIGUSR1) => Order::DropEverything,
                    Ok(Signal::SIGHUP) => Order::Reload,
                    Ok(_) => Order::Stop,
                    Err(_) => continue,
                };
                if told.send(order).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(wait).context("cannot wait for signals")?;
        Ok(Self(orders))
    }

    /// The next order, or [`Order::Stop`] if none can arrive any longer.
    pub(crate) async fn next(&mut self) -> Order {
        self.0.recv().await.unwrap_or(Order::Stop)
    }

    /// For a program with neither configuration nor sessions: waits until a signal, SIGHUP included, stops it.
    pub(crate) async fn stop(&mut self) {
        while self.next().await == Order::DropEverything {}
    }
}

/// The signals that end a command without secrets. It puts things in order first.
pub(crate) struct Stop([unix::Signal; 3]);

impl Stop {
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self([
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits for the first of them.
    pub(crate) async fn wait(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
            _ = hangup.recv() => (),
        }
    }
}
