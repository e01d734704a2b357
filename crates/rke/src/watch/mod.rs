//! `rke watch`: sessions and RAIDAs as they change, until the user leaves. It asks the daemon once a second, and
//! immediately when an event reports a change.

mod observer;
mod screen;
mod view;

use std::io::{IsTerminal, stdout};

use anyhow::{Context, Result, bail};

use self::screen::{Input, Screen};
use self::view::View;
use crate::cli::ask::DaemonOptions;
use crate::signals::Stop;

pub(crate) async fn run(daemon: &DaemonOptions) -> Result<()> {
    if !stdout().is_terminal() {
        bail!("watch needs a terminal; `rke status`, `rke session list` and `rke raidas` print once");
    }
    let mut stop = Stop::listen()?;
    let mut observations = observer::start(daemon.client(), daemon.timeout());
    let mut screen = Screen::enter().context("cannot use the terminal")?;
    let mut inputs = screen::inputs();
    let mut view = View::new(&daemon.address);
    loop {
        screen.show(&mut view).context("cannot write to the terminal")?;
        tokio::select! {
            Some(observation) = observations.recv() => view.take(observation),
            input = inputs.recv() => match input {
                Some(input) if obey(input, &mut view) => (),
                _ => return Ok(()),
            },
            () = stop.wait() => return Ok(()),
        }
    }
}

/// Does what the user wants. Returns whether to go on.
fn obey(input: Input, view: &mut View) -> bool {
    match input {
        Input::Resized => (),
        // While help is shown, every key except those that scroll and leave only closes it.
        Input::Help | Input::Back | Input::Other if view.helps() => view.switch_help(),
        Input::Scroll(how) => view.scroll(how),
        Input::Help => view.switch_help(),
        Input::Other => (),
        Input::Back | Input::Leave => return false,
    }
    true
}
