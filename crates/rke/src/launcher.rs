//! The process that starts the commands of --exec: this program again, before it is protected and has secrets. It is not
//! one of the commands that people give.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use rke_raida::content_server::{Application, Launcher, launch_commands};

/// What this program is started with, before the shell command.
const NAME: &str = "launch-commands";

/// The file of this program, also where an update has put another in its place.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What is behind the tunnels: this shell command, or an echo. To be called before the process is protected, because
/// commands have the rights that it has then.
pub(crate) fn application(command: Option<&str>) -> Result<Application> {
    let Some(command) = command else { return Ok(Application::Echo) };
    let mut launcher = Command::new(OWN_PROGRAM);
    launcher.arg0("rke").args([NAME, command]);
    let launcher = Launcher::start(launcher).context("cannot start the process that starts commands")?;
    Ok(Application::Exec(launcher))
}

/// The shell command, where this process is to start it.
pub(crate) fn asked_for() -> Option<String> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| arguments.next())??.into_string().ok()
}

/// Starts it as often as the Content Server asks.
pub(crate) fn run(command: &str) -> Result<()> {
    launch_commands(command).context(
        "cannot start commands for a Content Server: `rke content-server serve --exec` runs this by itself, with a \
         socket as its standard input",
    )
}
