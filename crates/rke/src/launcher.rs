//! The process that starts the commands of `--exec`, `--psk-exec` and `--wireguard`, and of `rke psk`. It is this program again, started before this process is
//! protected and has secrets. It is not one of the commands for users.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use rke_proto::coin::CoinId;
use rke_raida::content_server::{
    Application, Interface, KeyCommand, KeyFormat, KeyService, Launcher, PublicKey, Target, launch_commands,
    wireguard_command,
};

/// The argument that starts this program as the launcher. The shell command follows it.
const NAME: &str = "launch-commands";

/// The file of this program, even if an update has since replaced it.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What is behind the tunnels, as the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Behind {
    /// What clients send comes back to them.
    Echo,
    /// A shell command.
    Exec(String),
    /// `HOST:PORT`.
    Forward(String),
    /// A shell command that gets keys in this form.
    PskExec(String, KeyFormat),
    /// The interface whose peers get keys, the only coin that may set each, and whether it fails closed.
    WireGuard { interface: Interface, peers: BTreeMap<PublicKey, CoinId>, fail_closed: bool },
}

/// The application behind the tunnels. Call this before the process is protected: commands have the rights that the process
/// has at that time.
pub(crate) fn application(behind: &Behind) -> Result<Application> {
    Ok(match behind {
        Behind::Echo => Application::Echo,
        Behind::Exec(command) => Application::Exec(start_launcher(command)?),
        Behind::Forward(target) => {
            let found = Target::look_up(target);
            Application::Forward(found.with_context(|| format!("cannot look up {target} of --forward"))?)
        }
        Behind::PskExec(command, format) => {
            Application::Keys(KeyService::Command(KeyCommand::new(start_launcher(command)?, *format)))
        }
        Behind::WireGuard { interface, peers, fail_closed } => {
            let launcher = start_launcher(&wireguard_command(interface))?;
            let command = KeyCommand::new(launcher, KeyFormat::Base64);
            let (peers, fail_closed) = (Arc::new(peers.clone()), *fail_closed);
            Application::Keys(KeyService::WireGuard { command, peers, fail_closed })
        }
    })
}

/// Starts the process that starts this shell command, with the rights that this process has now.
pub(crate) fn start_launcher(command: &str) -> Result<Launcher> {
    let mut launcher = Command::new(OWN_PROGRAM);
    launcher.arg0("rke").args([NAME, command]);
    Launcher::start(launcher).context("cannot start the process that starts commands")
}

/// The shell command, if this process is the launcher.
pub(crate) fn asked_for() -> Option<String> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| arguments.next())??.into_string().ok()
}

/// Starts the command as often as the Content Server requests it.
pub(crate) fn run(command: &str) -> Result<()> {
    launch_commands(command).context(
        "cannot start commands: `rke content-server serve --exec` and `rke psk` run this by themselves, with a socket as \
         its standard input",
    )
}
