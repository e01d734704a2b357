//! Waiting to be told to stop. One thread waits for the signals, with no handler that could interrupt
//! a thread in the middle of using a secret: they are blocked everywhere else.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use tokio::sync::watch;

/// SIGTERM, SIGINT, SIGHUP and SIGQUIT, which [`crate::protection`] has blocked.
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn listen() -> Result<Self> {
        let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
        let signals: SigSet = signals.into_iter().collect();
        let (told, stop) = watch::channel(false);
        let wait = move || {
            while signals.wait().is_err() {}
            let _ = told.send(true);
        };
        std::thread::Builder::new().name("signals".into()).spawn(wait).context("cannot wait for signals")?;
        Ok(Self(stop))
    }

    /// Returns when one of them has come.
    pub(crate) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
