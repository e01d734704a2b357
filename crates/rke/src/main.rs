//! The `rke` program: the daemon, the other side of the exchange to run oneself, and a command line
//! for a running daemon. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon;
//! of `audit`, 1 is a broken log and 2 one that cannot be checked; of `connect`, the command's or 255.

mod audit;
mod cli;
#[cfg(test)]
mod configuration;
mod connect;
mod content_server;
mod crypt;
mod describe;
mod dev;
mod doctor;
mod failure;
mod keys;
mod launcher;
mod log;
mod parse;
mod protection;
mod raida;
mod reply;
mod sandbox;
mod serve;
mod session;
mod settings;
mod show;
mod signals;
mod switch;
mod systemd;
mod terminal;
mod trust;
mod watch;
mod words;

use std::process::ExitCode;

use cli::ask::AskCommand;
use cli::{Command, RunCommand, help};

fn main() -> ExitCode {
    let done = match launcher::asked_for() {
        Some(command) => launcher::run(&command),
        None => run(help::parse().command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell(&error),
    }
}

/// Commands that hold secrets make their own runtime, once the process is protected.
fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Trust { command } => trust::run(command),
        Command::Audit { command } => audit::run(command),
        Command::Run(RunCommand::Serve(options)) => serve::run(*options),
        Command::Run(RunCommand::Dev(options)) => dev::run(options),
        Command::Run(RunCommand::Raida(command)) => raida::run(command),
        Command::Run(RunCommand::ContentServer { command }) => content_server::run(command),
        Command::Describe(command) => describe::run(command),
        Command::Ask(command) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let result = runtime.block_on(ask(command));
            // A thread may wait for standard input, which may never end.
            runtime.shutdown_background();
            result
        }
    }
}

async fn ask(command: AskCommand) -> anyhow::Result<()> {
    match command {
        AskCommand::Session { command, output } => session::run(command, &output).await,
        AskCommand::Keys { command, output } => keys::run(command, &output).await,
        AskCommand::Encrypt(options) => crypt::encrypt(&options).await,
        AskCommand::Decrypt(options) => crypt::decrypt(&options).await,
        AskCommand::Connect { session, output } => connect::run(&session, &output).await,
        AskCommand::Watch { daemon } => watch::run(&daemon).await,
        AskCommand::Raidas { command, output } => show::raidas(command, &output).await,
        AskCommand::Discover { domain, output } => show::discover(&domain, &output).await,
        AskCommand::Status { output } => show::status(&output).await,
        AskCommand::Doctor(options) => doctor::run(&options).await,
    }
}
