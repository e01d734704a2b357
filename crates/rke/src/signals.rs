//! What signals tell the program to do. One thread waits for them, with no handler that could interrupt
//! a thread in the middle of using a secret: they are blocked everywhere else.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM, SIGINT, SIGQUIT.
    Stop,
    /// SIGHUP: read the configuration again. Where there is none, it is the terminal that has gone.
    Reload,
    /// SIGUSR1: no key is to be left.
    DropEverything,
}

/// Signals that come in, which [`crate::protection`] has blocked.
pub(crate) struct Orders(UnboundedReceiver<Order>);

impl Orders {
    /// Waits for signals from here on.
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

    /// The next that comes. Where nobody can send any more, that is [`Order::Stop`].
    pub(crate) async fn next(&mut self) -> Order {
        self.0.recv().await.unwrap_or(Order::Stop)
    }

    /// Returns when a program that has neither configuration nor sessions is to stop.
    pub(crate) async fn stop(&mut self) {
        while self.next().await == Order::DropEverything {}
    }
}
