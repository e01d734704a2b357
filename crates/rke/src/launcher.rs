//! The process that starts the commands of `--exec`. It is this program again, started before this process is
//! protected and has secrets. It is not one of the commands for users.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use rke_raida::content_server::{Application, Launcher, Target, launch_commands};

/// The argument that starts this program as the launcher. The shell command follows it.
const NAME: &str = "launch-commands";

/// The file of this program, even if an update has since replaced it.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The application behind the tunnels: this shell command, this TCP address, or an echo. Call this before the process is
/// protected: commands have the rights that the process has at that time.
pub(crate) fn application(command: Option<&str>, forward: Option<&str>) -> Result<Application> {
    if let Some(target) = forward {
        let target =
            Target::look_up(target).with_context(|| format!("cannot look up {target} of --forward"))?;
        return Ok(Application::Forward(target));
    }
    let Some(command) = command else { return Ok(Application::Echo) };
    let mut launcher = Command::new(OWN_PROGRAM);
    launcher.arg0("rke").args([NAME, command]);
    let launcher = Launcher::start(launcher).context("cannot start the process that starts commands")?;
    Ok(Application::Exec(launcher))
}

/// The shell command, if this process is the launcher.
pub(crate) fn asked_for() -> Option<String> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| arguments.next())??.into_string().ok()
}

/// Starts the command as often as the Content Server requests it.
pub(crate) fn run(command: &str) -> Result<()> {
    launch_commands(command).context(
        "cannot start commands for a Content Server: `rke content-server serve --exec` runs this by itself, with a \
         socket as its standard input",
    )
}
