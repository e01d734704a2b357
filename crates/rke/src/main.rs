//! The `rke` program: the daemon, the other parts of the network for those who run their own, and a command line
//! for a running daemon.
//!
//! Exit codes: 0 done, 1 refused, 2 usage, 3 no daemon. `audit` exits with 1 for a broken log and with 2 for one
//! that cannot be checked. `ping` exits with 1 if there is no response and with 2 if the domain does not exist.
//! `connect` exits with the status of the command, or with 255.

mod activity;
mod audit;
mod cli;
mod coin;
#[cfg(test)]
mod configuration;
mod connect;
mod content_server;
mod crypt;
mod describe;
mod dev;
mod doctor;
mod export;
mod failure;
mod forward;
mod key_format;
mod key_response;
mod keys;
mod launcher;
mod local_address;
mod local_store;
mod log;
mod look_up;
mod monitor;
mod net;
mod parse;
mod ping;
mod protection;
mod psk;
mod raida;
mod reach;
mod records_file;
mod reply;
mod sandbox;
mod serve;
mod session;
mod settings;
mod show;
mod signals;
mod state;
mod status;
mod store;
mod switch;
mod systemd;
mod template;
mod terminal;
mod trust;
mod tunnel;
mod version;
mod watch;
mod which;
mod words;

use std::process::ExitCode;

use cli::ask::AskCommand;
use cli::{Command, RunCommand, complete, help};
use rke_secret::process::look_names_up_without_libraries;

fn main() -> ExitCode {
    look_names_up_without_libraries();
    let done = match launcher::asked_for() {
        Some(command) => launcher::run(&command),
        None => {
            complete::answer_shells();
            run(help::parse().command)
        }
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
        Command::Wallet { command } => coin::wallet(command),
        Command::Coin { command } => coin::coin(command),
        Command::Audit { command } => audit::run(command),
        Command::Store { command } => store::run(command),
        Command::Run(RunCommand::Serve(options)) => serve::run(*options),
        Command::Run(RunCommand::Dev(options)) => dev::run(options),
        Command::Run(RunCommand::Net { command }) => net::run(command),
        Command::Run(RunCommand::Raida(command)) => raida::run(command),
        Command::Run(RunCommand::ContentServer { command }) => content_server::run(command),
        Command::Run(RunCommand::Export(options)) => export::run(&options),
        Command::Run(RunCommand::Psk(options)) => psk::psk(options),
        Command::Run(RunCommand::Wireguard(options)) => psk::wireguard(options),
        Command::Describe(command) => describe::run(command),
        Command::Ask(command) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let result = runtime.block_on(ask(command));
            // A thread may still be waiting for standard input, which may never end.
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
        AskCommand::Connect { whom, wallet, output } => connect::run(&whom, wallet.as_ref(), &output).await,
        AskCommand::Forward(options) => forward::run(&options).await,
        AskCommand::Watch { daemon } => watch::run(&daemon).await,
        AskCommand::Activity { output } => activity::run(&output).await,
        AskCommand::Raidas { command, format, output } => show::raidas(command, &format, &output).await,
        AskCommand::Ping(options) => ping::run(&options).await,
        AskCommand::Discover { domain, output } => show::discover(&domain, &output).await,
        AskCommand::Status { output } => show::status(&output).await,
        AskCommand::Doctor(options) => doctor::run(&options).await,
    }
}
