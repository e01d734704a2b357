//! The commands and their flags. The texts here are the texts of `--help`. Commands that talk to a daemon are in
//! `ask.rs` and `session.rs`, those of `rke content-server` in `content_server.rs`, and those of `rke trust` in
//! `trust.rs`. `help/mod.rs` groups the commands in the list, and `complete.rs` completes them in shells.

pub(crate) mod ask;
pub(crate) mod coin;
pub(crate) mod complete;
pub(crate) mod content_server;
mod examples;
pub(crate) mod help;
pub(crate) mod listing;
pub(crate) mod look_up;
mod mistake;
pub(crate) mod net;
pub(crate) mod psk;
pub(crate) mod session;
pub(crate) mod session_keys;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod trust;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use rke_engine::settings::listen::Listen;
use rke_proto::coin::CoinId;
use rke_proto::{ContentServerId, KeySetId};

use self::ask::AskCommand;
use self::coin::{CoinCommand, WalletCommand};
use self::content_server::ContentServerCommand;
use self::net::NetCommand;
use self::psk::{ExportOptions, PskOptions, WireGuardOptions};
use self::status::StatusOptions;
use self::store::StoreCommand;
use self::trust::TrustCommand;
use crate::parse::{parse_cs_id, parse_session, parse_target};
use crate::protection::Protection;
use crate::sandbox::SandboxOptions;
use crate::settings::ServeOptions;
use crate::settings::access::AccessOptions;
use crate::settings::raida::RaidaOptions;

/// RAIDA Key Exchange sessions: encryption keys shared with a Content Server, without a key ever being sent.
#[derive(Parser)]
#[command(name = "rke", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Run(RunCommand),
    #[command(flatten)]
    Ask(AskCommand),
    #[command(flatten)]
    Describe(DescribeCommand),
    /// List, accept and remove the Content Servers that the daemon remembers.
    #[command(after_help = examples::TRUST)]
    Trust {
        #[command(subcommand)]
        command: TrustCommand,
    },
    /// See what is in a wallet, and make one for a network of your own.
    #[command(after_help = examples::WALLET)]
    Wallet {
        #[command(subcommand)]
        command: WalletCommand,
    },
    /// Prepare coins for the nodes of a network of your own.
    #[command(after_help = examples::COIN)]
    Coin {
        #[command(subcommand)]
        command: CoinCommand,
    },
    /// Check an audit log of a daemon, a RAIDA node or a Content Server.
    #[command(after_help = examples::AUDIT)]
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Make and rotate the keys of a store that several machines share.
    #[command(after_help = examples::STORE)]
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check whether an audit log is what the program wrote: exit code 0 if it is, 1 if not, 2 if that cannot be told.
    Verify {
        /// Its files, the oldest first.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// The data folder of the program that keeps the log, which has the key. Without it only the lines' hashes are checked.
        #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Print the tag that stands for a session in the audit log.
    Tag {
        /// The session's id. At a Content Server, the id of its key.
        #[arg(value_name = "SESSION", value_parser = parse_session)]
        session: String,
        /// The data folder of the program that keeps the log, which has the key.
        #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR", required_unless_present = "store_key_file")]
        data_dir: Option<PathBuf>,
        /// The key file of the store, where machines share their sessions: then the tag is the same on each. Prints a tag for each of its
        /// keys, the one in use first, and after them the one of --data-dir.
        #[arg(long, value_name = "FILE", env = "RKE_STORE_KEY_FILE")]
        store_key_file: Option<PathBuf>,
    },
}

/// Commands that write what describes the program.
#[derive(Subcommand)]
pub(crate) enum DescribeCommand {
    /// Print which program this is, which versions of the protocols it speaks, and how it was built.
    Version {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print a script that makes a shell complete commands, flags and the ids of sessions.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages of all commands into a folder.
    #[command(after_help = examples::MAN)]
    Man {
        /// The folder; it is created if it is missing.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Commands that hold secrets.
#[derive(Subcommand)]
pub(crate) enum RunCommand {
    /// Run the daemon against the real world.
    #[command(after_help = examples::SERVE)]
    Serve(Box<ServeOptions>),
    /// Run everything on this machine: 25 RAIDA nodes, DNS, a Content Server, a wallet, the daemon.
    #[command(after_help = examples::DEV)]
    Dev(DevOptions),
    /// Run a network of your own, each part of it a process of its own that can move to another machine.
    #[command(after_help = examples::NET)]
    Net {
        #[command(subcommand)]
        command: NetCommand,
    },
    /// Run one RAIDA node, or see and change who owns which Content Server ID there.
    #[command(after_help = examples::RAIDA)]
    Raida(RaidaCommand),
    /// Run a Content Server, make and preload its master secrets, rotate them.
    #[command(after_help = examples::CONTENT_SERVER)]
    ContentServer {
        #[command(subcommand)]
        command: ContentServerCommand,
    },
    /// Print a key that comes from a session, for another program. The other end gets the same one.
    #[command(after_help = examples::EXPORT)]
    Export(Box<ExportOptions>),
    /// Give a program the same key as one at a domain's Content Server, once or repeatedly.
    #[command(after_help = examples::PSK)]
    Psk(PskOptions),
    /// Renew the pre-shared key of a WireGuard tunnel to a domain's Content Server.
    #[command(after_help = examples::WIREGUARD)]
    Wireguard(WireGuardOptions),
}

/// A whole network on loopback.
#[derive(Args)]
pub(crate) struct DevOptions {
    /// Where the HTTP API listens: IP:PORT, or localhost:PORT for 127.0.0.1 and ::1. Port 0 takes any free one. Repeatable.
    #[arg(
        long,
        value_name = "ADDR",
        env = "RKE_LISTEN",
        default_value = "localhost:8080",
        default_value_if("ports", "auto", "localhost:0"),
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<Listen>,
    /// Which ports to take unless another flag says: the same ones each time, or any free ones.
    #[arg(long, value_name = "WHICH", default_value = "fixed")]
    pub(crate) ports: Ports,
    /// UDP port of RAIDA 0; RAIDA i listens on the i-th after it. 0 takes any free ones.
    #[arg(long, value_name = "PORT", default_value_t = 25000, default_value_if("ports", "auto", "0"))]
    pub(crate) raida_port: u16,
    /// UDP and TCP port of the DNS server; 0 takes any free one.
    #[arg(long, value_name = "PORT", default_value_t = 25053, default_value_if("ports", "auto", "0"))]
    pub(crate) dns_port: u16,
    /// TCP port of the Content Server; 0 takes any free one.
    #[arg(long, value_name = "PORT", default_value_t = 25443, default_value_if("ports", "auto", "0"))]
    pub(crate) content_server_port: u16,
    /// How many daemons share their sessions. More than one need a redis-server or valkey-server, which this command runs for them; the
    /// others listen on free ports.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(net::INSTANCES))]
    pub(crate) daemons: u8,
    /// Where to keep coins, keys and the RAIDA directory [default: a temporary folder, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Shell command behind the Content Server, run once for each connection: the client's data on its standard input,
    /// its standard output to the client. Without it, what clients send comes back to them.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
    /// TCP address that each connection to the Content Server is carried to, in place of a command.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "exec", value_parser = parse_target)]
    pub(crate) forward: Option<String>,
    /// Publish another Content Server's records too: those that `rke content-server preload` has written to this file. Its
    /// host is this machine. Repeatable.
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Vec<PathBuf>,
    /// Run the tour, print every request and response, and exit.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) access: AccessOptions,
    #[command(flatten)]
    pub(crate) protection: Protection,
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// Which ports a local network takes.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Ports {
    /// 8080 for HTTP, 25000 to 25024, 25053 and 25443.
    Fixed,
    /// Free ones.
    Auto,
}

/// One RAIDA node, or a look at what it keeps.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RaidaCommand {
    #[command(subcommand)]
    pub(crate) command: Option<RaidaSubcommand>,
    #[command(flatten)]
    pub(crate) options: RaidaOptions,
}

#[derive(Subcommand)]
pub(crate) enum RaidaSubcommand {
    /// See and change which coin owns which Content Server ID at a node: the first to preload it does.
    Owner {
        #[command(subcommand)]
        command: OwnerCommand,
    },
    /// Ask a running node, where its --metrics is, how it is doing.
    Status(StatusOptions),
}

#[derive(Subcommand)]
pub(crate) enum OwnerCommand {
    /// List the Content Server IDs that are preloaded at a node, with the coins that own them. The node may be running.
    List {
        /// The node's data folder.
        #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
        data_dir: PathBuf,
    },
    /// Give a Content Server ID to another coin. Its key sets at the node are removed: preload them again with that
    /// coin. The node must not be running.
    Move {
        /// The Content Server ID.
        #[arg(value_name = "CSID", value_parser = parse_cs_id)]
        cs_id: ContentServerId,
        /// The coin that is to own it.
        #[arg(value_name = "DENOMINATION:SERIAL", allow_hyphen_values = true)]
        coin: CoinId,
        /// The node's data folder.
        #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
        data_dir: PathBuf,
        /// The node's audit log, which records the move.
        #[arg(long, value_name = "FILE", env = "RKE_AUDIT_LOG")]
        audit_log: Option<PathBuf>,
    },
}

/// What goes to the log on standard error.
#[derive(Args)]
pub(crate) struct LogOptions {
    /// What to log: error, warn, info, debug, trace, or a filter such as rke_engine=debug.
    #[arg(long, value_name = "FILTER", env = "RKE_LOG", default_value = "warn")]
    pub(crate) log: String,
}

fn parse_key_set(text: &str) -> Result<KeySetId, &'static str> {
    text.parse().ok().and_then(KeySetId::new).ok_or("a key set's number is from 1 to 255")
}

#[cfg(test)]
mod tests;
