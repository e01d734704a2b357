//! Reads settings from the definitions of the commands: `docs/configuration.md` is generated from them, and the
//! tests try every variable and every key of the file. A new flag needs a line in `samples.rs`.

mod document;
mod samples;
mod variables;

use std::any::TypeId;

use clap::{Arg, CommandFactory, Parser};

use self::samples::Sample;
use crate::cli::content_server::ContentServerCommand;
use crate::cli::{Cli, Command, RunCommand};
use crate::settings::content_server::ContentServerSettings;
use crate::settings::raida::RaidaSettings;
use crate::settings::{ServeSettings, Settle};

/// The settings of a command that has a configuration file.
enum Settled {
    Serve(Box<ServeSettings>),
    Raida(Box<RaidaSettings>),
    ContentServer(Box<ContentServerSettings>),
}

/// The commands that have a configuration file.
const WITH_FILE: [&str; 3] = ["serve", "raida", "content-server serve"];

impl Settled {
    /// Everything that follows from the settings, except the path of the file that they came from.
    fn shown(&self) -> String {
        match self {
            Self::Serve(settings) => format!("{:?}", (&settings.daemon, &settings.process, &settings.etsi)),
            Self::Raida(settings) => without_file(&format!("{settings:?}"), ", raida: "),
            Self::ContentServer(settings) => without_file(&format!("{settings:?}"), ", cs_id: "),
        }
    }

    /// Whether a running program can reload to these other settings.
    fn can_become(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Serve(now), Self::Serve(other)) => {
                now.etsi == other.etsi
                    && now.daemon.fixed.differences(&other.daemon.fixed).is_empty()
                    && now.process.differences(&other.process).is_empty()
            }
            (Self::Raida(now), Self::Raida(other)) => now.fixed(other).is_empty(),
            (Self::ContentServer(now), Self::ContentServer(other)) => now.fixed(other).is_empty(),
            _ => false,
        }
    }
}

/// Settings without the path of the file that they came from, which stands before `next`.
fn without_file(shown: &str, next: &str) -> String {
    let (before, file) = shown.split_once("config: ").unwrap_or_default();
    let after = file.split_once(next).unwrap_or_default().1;
    format!("{before}{after}")
}

/// The settings that a command line results in.
fn settle(command: &str, arguments: &[String]) -> Result<Settled, String> {
    let words =
        ["rke"].into_iter().chain(command.split(' ')).map(str::to_owned).chain(arguments.iter().cloned());
    let settled = match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
        Command::Run(RunCommand::Serve(options)) => {
            options.settle().map(|settings| Settled::Serve(Box::new(settings)))
        }
        Command::Run(RunCommand::Raida(command)) => {
            command.options.settle().map(|settings| Settled::Raida(Box::new(settings)))
        }
        Command::Run(RunCommand::ContentServer { command: ContentServerCommand::Serve(options) }) => {
            options.settle().map(|settings| Settled::ContentServer(Box::new(settings)))
        }
        _ => panic!("rke {command} has no configuration file"),
    };
    settled.map_err(|error| error.to_string())
}

/// The definition of the command with these names.
fn definition(path: &[&str]) -> clap::Command {
    path.iter().flat_map(|names| names.split(' ')).fold(Cli::command(), |command, name| {
        command.find_subcommand(name).unwrap_or_else(|| panic!("no command {name}")).clone()
    })
}

/// The flags of a command, without `--help`.
fn flags(command: &clap::Command) -> Vec<Arg> {
    let flags = command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help"));
    flags.cloned().collect()
}

fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}

fn variable(arg: &Arg) -> Option<String> {
    arg.get_env().map(|variable| variable.to_string_lossy().into_owned())
}

fn is_switch(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<bool>()
}
