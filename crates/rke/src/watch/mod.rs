//! `rke watch`: sessions and RAIDAs as they change, until somebody leaves. It asks the daemon each second,
//! and at once where the daemon's events say that something has changed.

mod observer;
mod screen;
mod view;

use std::io::{IsTerminal, stdout};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::screen::{Input, Screen};
use self::view::View;
use crate::cli::ask::DaemonOptions;

pub(crate) async fn run(daemon: &DaemonOptions) -> Result<()> {
    if !stdout().is_terminal() {
        bail!("watch needs a terminal; `rke status`, `rke session list` and `rke raidas` print once");
    }
    let mut stop = Stop::listen()?;
    let mut observations = observer::start(daemon.client());
    let mut screen = Screen::enter().context("cannot use the terminal")?;
    let mut inputs = screen::inputs();
    let mut view = View::new(&daemon.address);
    loop {
        screen.show(&view).context("cannot write to the terminal")?;
        tokio::select! {
            Some(observation) = observations.recv() => view.take(observation),
            input = inputs.recv() => match input {
                Some(Input::Resized) => (),
                Some(Input::Leave) | None => return Ok(()),
            },
            () = stop.wait() => return Ok(()),
        }
    }
}

/// Signals to end the program, which has to put the terminal in order first.
struct Stop([Signal; 3]);

impl Stop {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self([
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn wait(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
            _ = hangup.recv() => (),
        }
    }
}
