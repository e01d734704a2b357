//! The `rke` program: the daemon, the other side of the exchange to run oneself, and a command line
//! for a running daemon. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon;
//! of `audit`, 1 is a broken log and 2 one that cannot be checked.

mod access;
mod audit;
mod cli;
mod client;
mod connect;
mod content_server;
mod crypt;
mod dev;
mod log;
mod print;
mod protection;
mod raida;
mod serve;
mod session;
mod settings;
mod signals;
mod systemd;
mod tour;

use std::process::ExitCode;

use clap::Parser;

use cli::{AskCommand, Cli, Command, RunCommand};
use client::ClientError;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Commands that hold secrets make their own runtime, once the process is protected.
fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Audit { command } => audit::run(command),
        Command::Run(RunCommand::Serve(options)) => serve::run(*options),
        Command::Run(RunCommand::Dev(options)) => dev::run(options),
        Command::Run(RunCommand::Raida(options)) => raida::run(options),
        Command::Run(RunCommand::ContentServer { command }) => content_server::run(command),
        Command::Ask(command) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ask(command))
        }
    }
}

async fn ask(command: AskCommand) -> anyhow::Result<()> {
    match command {
        AskCommand::Session { command, output } => session::run(command, &output).await,
        AskCommand::Encrypt { session, output } => crypt::encrypt(&session, &output).await,
        AskCommand::Decrypt { session, output } => crypt::decrypt(&session, &output).await,
        AskCommand::Connect { session, output } => connect::run(&session, &output).await,
        AskCommand::Raidas { output } => print::raidas(&output).await,
        AskCommand::Discover { domain, output } => print::discover(&domain, &output).await,
        AskCommand::Status { output } => print::status(&output).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("rke: {error:#}");
    if matches!(error.downcast_ref(), Some(ClientError::NoDaemon { .. })) {
        return ExitCode::from(3);
    }
    ExitCode::from(if error.is::<audit::Unknown>() { 2 } else { 1 })
}
