//! The commands that ask a running daemon, and their flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use rke_client::{CachedKey, Client, KeyChoice, OtherEnd, Receipt};

use super::examples;
use crate::parse::parse_address;
use crate::switch::Switch;

/// Commands that ask a running daemon.
#[derive(Subcommand)]
pub(crate) enum AskCommand {
    /// Open, list, show, renew and delete sessions.
    #[command(after_help = examples::SESSION)]
    Session {
        #[command(subcommand)]
        command: SessionCommand,
        #[command(flatten)]
        output: Output,
    },
    /// List and remove what the daemon keeps to open later sessions without asking the RAIDAs.
    #[command(after_help = examples::KEYS)]
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
        #[command(flatten)]
        output: Output,
    },
    /// Encrypt a file or standard input with a session's key.
    #[command(after_help = examples::ENCRYPT)]
    Encrypt(EncryptOptions),
    /// Decrypt what `rke encrypt` wrote.
    #[command(after_help = examples::DECRYPT)]
    Decrypt(DecryptOptions),
    /// Talk to the Content Server of a session: standard input to it, what it says to standard output.
    #[command(after_help = examples::CONNECT)]
    Connect {
        /// The session's id.
        #[arg(value_name = "SESSION")]
        session: String,
        #[command(flatten)]
        output: Output,
    },
    /// Watch sessions and RAIDAs as they change.
    #[command(after_help = examples::WATCH)]
    Watch {
        #[command(flatten)]
        daemon: DaemonOptions,
    },
    /// Show how the 25 RAIDAs have been doing, and how many more may fail.
    #[command(after_help = examples::RAIDAS)]
    Raidas {
        #[command(subcommand)]
        command: Option<RaidasCommand>,
        #[command(flatten)]
        output: Output,
    },
    /// Find a Content Server in DNS.
    #[command(after_help = examples::DISCOVER)]
    Discover {
        /// Its domain.
        domain: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show how a running daemon is doing.
    Status {
        #[command(flatten)]
        output: Output,
    },
    /// Look for what is wrong: this machine, the daemon, a domain, a wallet; and say what cures it.
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorOptions),
}

#[derive(Subcommand)]
pub(crate) enum SessionCommand {
    /// Open a session with a domain's Content Server; its id goes to standard output.
    Create {
        /// Its domain.
        domain: String,
        /// The wallet folder whose coins prove you to the RAIDAs.
        #[arg(long, value_name = "DIR")]
        wallet: PathBuf,
        /// Ask the RAIDAs even if the daemon's cache would do.
        #[arg(long)]
        fresh: bool,
    },
    /// List the sessions.
    List,
    /// Show one session.
    Show {
        /// Its id.
        id: String,
    },
    /// Let a session live for its full time again.
    Renew {
        /// Its id.
        id: String,
    },
    /// End a session, or all, and wipe the key.
    Delete(DeleteOptions),
}

/// What is to end, and what goes with it.
#[derive(Args)]
#[command(group(ArgGroup::new("which").required(true).args(["id", "all"])))]
pub(crate) struct DeleteOptions {
    /// The session's id.
    pub(crate) id: Option<String>,
    /// End every session.
    #[arg(long)]
    pub(crate) all: bool,
    /// Of all, only those with this domain.
    #[arg(long, value_name = "DOMAIN", requires = "all")]
    pub(crate) domain: Option<String>,
    /// Remove what the cache keeps for the domain too; its file is overwritten first.
    #[arg(long)]
    forget: bool,
    /// Make the daemon scan all of its memory for the wiped key, and say what it found.
    #[arg(long)]
    verify: bool,
    /// Wait up to 5 seconds for the Content Server to show that it has wiped the key too, and say whether it has.
    #[arg(long, conflicts_with = "all")]
    everywhere: bool,
}

impl DeleteOptions {
    pub(crate) fn cached(&self) -> CachedKey {
        if self.forget { CachedKey::Forget } else { CachedKey::Keep }
    }

    pub(crate) fn receipt(&self) -> Receipt {
        if self.verify { Receipt::Wanted } else { Receipt::None }
    }

    pub(crate) fn other_end(&self) -> OtherEnd {
        if self.everywhere { OtherEnd::Wait } else { OtherEnd::Background }
    }
}

#[derive(Subcommand)]
pub(crate) enum RaidasCommand {
    /// Make the daemon ask its guardians where the RAIDAs are, and show the same when they have answered.
    Refresh,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// List the cached keys: for which domain and coins, and until when.
    List,
    /// Remove cached keys; their files are overwritten first. Open sessions go on.
    #[command(group(ArgGroup::new("which").required(true).args(["domain", "all"])))]
    Forget {
        /// The domain whose keys to remove.
        domain: Option<String>,
        /// Remove the keys of every domain.
        #[arg(long)]
        all: bool,
    },
}

/// The form of encrypted data.
#[derive(Args, Clone, Copy)]
pub(crate) struct FormOptions {
    /// Sealed: whatever is altered, cut or put in shows when it is decrypted. This is the default.
    #[arg(long, group = "form")]
    seal: bool,
    /// Only encrypted (AES-256-CTR), the nonce in front: alterations do not show.
    #[arg(long, group = "form")]
    raw: bool,
    /// Text: a line for each 24 KiB, of nonce, space, Base64. Alterations do not show.
    #[arg(long, group = "form")]
    lines: bool,
}

/// The form of encrypted data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Sealed,
    Raw,
    Lines,
}

impl FormOptions {
    pub(crate) fn form(self) -> Form {
        match self {
            Self { raw: true, .. } => Form::Raw,
            Self { lines: true, .. } => Form::Lines,
            _ => Form::Sealed,
        }
    }
}

/// Where data comes from and goes to.
#[derive(Args)]
pub(crate) struct Ends {
    /// The session's id.
    #[arg(value_name = "SESSION")]
    pub(crate) session: String,
    /// The file to read; standard input where it is missing or `-`.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The file to write; it is there whole or not at all, and an old one stays until then. Standard
    /// output where this is missing or `-`.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Text that is not in the sealed data, but without which that does not open: a file's name, say.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["raw", "lines"], default_value = "", hide_default_value = true)]
    pub(crate) aad: String,
}

#[derive(Args)]
pub(crate) struct EncryptOptions {
    #[command(flatten)]
    pub(crate) ends: Ends,
    #[command(flatten)]
    pub(crate) form: FormOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct DecryptOptions {
    #[command(flatten)]
    pub(crate) ends: Ends,
    #[command(flatten)]
    pub(crate) form: FormOptions,
    /// With --raw: the data has no nonce in front, and this is it (32 hexadecimal digits).
    #[arg(long, value_name = "HEX", requires = "raw")]
    pub(crate) nonce: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct DoctorOptions {
    /// A domain to look at too: its DNS records, its RAIDAs, its Content Server.
    pub(crate) domain: Option<String>,
    /// A wallet to look at too.
    #[arg(long, value_name = "DIR")]
    pub(crate) wallet: Option<PathBuf>,
    /// The daemon's data folder [default: rke in the XDG data folder].
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The DNS server to ask [default: the daemon's, else the system's].
    #[arg(long, value_name = "IP:PORT", env = "RKE_DNS_SERVER", value_parser = parse_address)]
    pub(crate) dns_server: Option<SocketAddr>,
    /// Take private, link-local and loopback addresses from it, as a daemon with this flag does.
    #[arg(long, env = "RKE_ALLOW_PRIVATE_RAIDAS", value_parser = Switch)]
    pub(crate) allow_private_raidas: bool,
    /// File of lines `host:port index` for records that do not name their RAIDA.
    #[arg(long, value_name = "FILE", env = "RKE_RAIDA_DIRECTORY")]
    pub(crate) raida_directory: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Which daemon to ask, and what shows it that one may.
#[derive(Args)]
pub(crate) struct DaemonOptions {
    /// Where the daemon listens: HOST:PORT, or unix:PATH for its unix socket. These commands speak no TLS.
    #[arg(
        long = "daemon",
        global = true,
        value_name = "ADDRESS",
        env = "RKE_DAEMON",
        default_value = "127.0.0.1:8080",
        help_heading = "Daemon"
    )]
    pub(crate) address: String,
    /// The daemon's token file, for a daemon with --require-token: `token` in its data folder.
    #[arg(long, global = true, value_name = "FILE", env = "RKE_TOKEN_FILE", help_heading = "Daemon")]
    pub(crate) token_file: Option<PathBuf>,
}

impl DaemonOptions {
    pub(crate) fn client(&self) -> Client {
        let client = Client::new(&self.address);
        match &self.token_file {
            Some(path) => client.with_token_file(path),
            None => client,
        }
    }
}

/// Which daemon to ask, and how to print what it says.
#[derive(Args)]
pub(crate) struct Output {
    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,
    /// Print JSON instead of text: the daemon's answer as it came.
    #[arg(long, global = true, help_heading = "Daemon")]
    pub(crate) json: bool,
}

/// The key that `--fresh` asks for.
pub(crate) fn key_choice(fresh: bool) -> KeyChoice {
    if fresh { KeyChoice::Fresh } else { KeyChoice::Cached }
}
