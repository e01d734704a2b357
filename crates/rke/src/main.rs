//! The `rke` program: the daemon, the other side of the exchange to run oneself, and a command line
//! for a running daemon. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon;
//! of `audit`, 1 is a broken log and 2 one that cannot be checked.

mod access;
mod audit;
mod cli;
mod connect;
mod content_server;
mod crypt;
mod describe;
mod dev;
mod doctor;
mod keys;
mod log;
mod protection;
mod raida;
mod serve;
mod session;
mod settings;
mod show;
mod signals;
mod systemd;
mod terminal;
mod tour;
mod watch;

use std::io;
use std::process::ExitCode;

use rke_client::Error;

use cli::ask::AskCommand;
use cli::{Command, RunCommand, help};
use terminal::{BAD, DIM, clean, paint, say};

fn main() -> ExitCode {
    match run(help::parse().command) {
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
        AskCommand::Raidas { output } => show::raidas(&output).await,
        AskCommand::Discover { domain, output } => show::discover(&domain, &output).await,
        AskCommand::Status { output } => show::status(&output).await,
        AskCommand::Doctor(options) => doctor::run(&options).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(has_no_reader) {
        // Whoever read the output has seen enough.
        return ExitCode::SUCCESS;
    }
    say(&format!("{} {}", paint(BAD, "rke:"), clean(&format!("{error:#}"))));
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(hint) = cause.and_then(hint) {
        say(&paint(DIM, format!("     {hint}")));
    }
    let cannot_tell = error.is::<audit::Unknown>();
    ExitCode::from(match cause {
        Some(Error::NoDaemon { .. } | Error::NotUnderstood { .. }) => 3,
        _ if cannot_tell => 2,
        _ => 1,
    })
}

fn has_no_reader(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_client = cause.downcast_ref().and_then(|error: &Error| match error {
        Error::Output(error) => Some(error),
        _ => None,
    });
    of_client.or(cause.downcast_ref()).is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What to type next, where the message does not say it.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::NoDaemon { .. } => {
            Some("start one with `rke serve`, or name another address with --daemon".into())
        }
        Error::Token { .. } => {
            Some("name the file `token` of the daemon's data folder with --token-file".into())
        }
        Error::SessionGone(_) => {
            Some("`rke session list` shows those that there are, `rke session create` opens a new one".into())
        }
        Error::FreshKeyNeeded(_) => Some("`rke session create … --fresh` opens one with a new key".into()),
        Error::TryLater(refusal) => {
            refusal.retry_after.map(|wait| format!("try again in {}", terminal::span(wait.as_secs())))
        }
        _ => None,
    }
}
