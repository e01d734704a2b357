//! The `rke` program: the daemon, the other side of the exchange to run oneself, and a command line
//! for a running daemon. Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon.

mod cli;
mod client;
mod content_server;
mod crypt;
mod dev;
mod log;
mod print;
mod raida;
mod serve;
mod session;
mod settings;
mod signals;
mod tour;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use client::ClientError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(options) => serve::run(options).await,
        Command::Dev(options) => dev::run(options).await,
        Command::Raida(options) => raida::run(options).await,
        Command::ContentServer(options) => content_server::run(options).await,
        Command::Session { command, output } => session::run(command, &output).await,
        Command::Encrypt { session, output } => crypt::encrypt(&session, &output).await,
        Command::Decrypt { session, output } => crypt::decrypt(&session, &output).await,
        Command::Discover { domain, output } => print::discover(&domain, &output).await,
        Command::Status { output } => print::status(&output).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("rke: {error:#}");
    let no_daemon = matches!(error.downcast_ref(), Some(ClientError::NoDaemon { .. }));
    ExitCode::from(if no_daemon { 3 } else { 1 })
}
