//! The commands that talk to a running daemon, and their flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use clap_complete::ArgValueCandidates;
use rke_client::Client;
use rke_engine::Domain;
use rke_proto::ContentServerId;

use super::listing::{Format, Listing};
use super::look_up::LookUpOptions;
use super::session::SessionCommand;
use super::{complete, examples, parse_cs_id};
use crate::parse::{parse_address, parse_daemon, parse_domain_for_daemon, parse_host, parse_session};
use crate::settings::store::StoreAddressOptions;

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
    /// Talk to the Content Server of a session: standard input goes to it, its data to standard output.
    #[command(after_help = examples::CONNECT)]
    Connect {
        /// The session's id, or enough of its beginning; or a domain, which has a dot in it.
        #[arg(value_name = "SESSION|DOMAIN", value_parser = parse_whom, add = ArgValueCandidates::new(complete::whom))]
        whom: Whom,
        /// With a domain: open a session of its own with the coins of this wallet, and delete it at the end. Without it, a session
        /// with the domain that is open already is used.
        #[arg(long, value_name = "DIR")]
        wallet: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Carry TCP connections to the Content Server of a domain: each that arrives here through a tunnel of its own.
    #[command(after_help = examples::FORWARD)]
    Forward(ForwardOptions),
    /// Watch sessions and RAIDAs as they change.
    #[command(after_help = examples::WATCH)]
    Watch {
        #[command(flatten)]
        daemon: DaemonOptions,
    },
    /// Show what has happened to sessions and keys, and the receipts of sessions that have ended.
    #[command(after_help = examples::ACTIVITY)]
    Activity {
        #[command(flatten)]
        output: Output,
    },
    /// Show the state of the 25 RAIDAs, and how many of them are spare.
    #[command(after_help = examples::RAIDAS)]
    Raidas {
        #[command(subcommand)]
        command: Option<RaidasCommand>,
        #[command(flatten)]
        format: Format,
        #[command(flatten)]
        output: Output,
    },
    /// Contact everything that a session with a domain needs, and print how long each takes: DNS, the RAIDAs, the Content Server.
    #[command(after_help = examples::PING)]
    Ping(PingOptions),
    /// Find a Content Server in DNS.
    #[command(after_help = examples::DISCOVER)]
    Discover {
        /// Its domain.
        #[arg(value_parser = parse_domain_for_daemon)]
        domain: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show how a running daemon is doing.
    Status {
        #[command(flatten)]
        output: Output,
    },
    /// Look for what is wrong: this machine, the daemon, a domain, a wallet; and say how to fix it.
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorOptions),
}

/// Whose Content Server to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// That of a session, by its id or the beginning of it.
    Session(String),
    /// That of a domain.
    Domain(String),
}

/// An id has hexadecimal digits only, and a domain has a dot.
fn parse_whom(text: &str) -> Result<Whom, String> {
    match text.contains('.') {
        true => parse_domain_for_daemon(text).map(Whom::Domain),
        false => match parse_session(text) {
            Ok(session) => Ok(Whom::Session(session)),
            Err(error) => Err(format!("{error}; a domain has a dot, at its end if nowhere else")),
        },
    }
}

#[derive(Args)]
pub(crate) struct ForwardOptions {
    /// The domain.
    #[arg(value_parser = parse_domain_for_daemon, add = ArgValueCandidates::new(complete::domains))]
    pub(crate) domain: String,
    /// Where to listen (TCP): 127.0.0.1:PORT or [::1]:PORT. Port 0 takes any free one.
    #[arg(value_name = "LISTEN", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    /// Open a session of its own with the coins of this wallet, and delete it at the end. Without it, a session with the
    /// domain that is open already is used.
    #[arg(long, value_name = "DIR")]
    pub(crate) wallet: Option<PathBuf>,
    /// Listen on an address that other machines can connect to. All of them use the session then, and what they send to
    /// this machine is in the clear.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,
}

#[derive(Subcommand)]
pub(crate) enum RaidasCommand {
    /// Make the daemon ask its guardians where the RAIDAs are, and show the RAIDAs when they have answered.
    Refresh,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// List the cached keys: for which domain and coins, and until when.
    List(Listing),
    /// Remove cached keys; their files are overwritten first. Open sessions go on.
    #[command(group(ArgGroup::new("which").required(true).args(["domain", "all"])))]
    Forget {
        /// The domain whose keys to remove.
        #[arg(value_parser = parse_domain_for_daemon, add = ArgValueCandidates::new(complete::domains))]
        domain: Option<String>,
        /// Remove the keys of every domain.
        #[arg(long)]
        all: bool,
    },
}

/// The form of encrypted data.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct FormOptions {
    /// Sealed, the default: decryption detects anything that was altered, cut or added.
    #[arg(long, group = "form")]
    seal: bool,
    /// Only encrypted (AES-256-CTR), the nonce in front: decryption does not detect alterations.
    #[arg(long, group = "form")]
    raw: bool,
    /// Text: a line for each 24 KiB, of nonce, space, Base64. Decryption does not detect alterations.
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
    /// The session's id, or enough of its beginning.
    #[arg(value_name = "SESSION", value_parser = parse_session, add = ArgValueCandidates::new(complete::sessions))]
    pub(crate) session: String,
    /// The file to read; standard input if this is missing or `-`.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The file to write; it appears only once it is complete, and an old one stays until then. Standard
    /// output if this is missing or `-`.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Text that is not part of the sealed data, but is required to open it: a file's name, for example.
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
    #[arg(value_parser = parse_domain_for_daemon)]
    pub(crate) domain: Option<String>,
    /// A wallet to look at too.
    #[arg(long, value_name = "DIR")]
    pub(crate) wallet: Option<PathBuf>,
    /// The daemon's data folder [default: rke in the XDG data folder]; with --records, that of a Content Server.
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreAddressOptions,
    #[command(flatten)]
    pub(crate) published: PublishedOptions,
    #[command(flatten)]
    pub(crate) look_up: LookUpOptions,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What the records of a Content Server are compared with.
#[derive(Args)]
pub(crate) struct PublishedOptions {
    /// Only compare the domain's DNS records with the key sets in a Content Server's data folder. It needs no daemon.
    #[arg(long, requires = "domain", requires = "data_dir", conflicts_with = "wallet")]
    pub(crate) records: bool,
    /// The Content Server ID. Needed where the data folder has the key sets of several.
    #[arg(long, value_name = "ID", requires = "records", value_parser = parse_cs_id)]
    pub(crate) cs_id: Option<ContentServerId>,
    /// The host that the SRV record has to name.
    #[arg(long, value_name = "HOST", requires = "records", value_parser = parse_host)]
    pub(crate) host: Option<Domain>,
    /// The port that the SRV record has to name.
    #[arg(long, value_name = "PORT", requires = "records", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

#[derive(Args)]
pub(crate) struct PingOptions {
    /// The domain.
    #[arg(value_parser = parse_domain_for_daemon)]
    pub(crate) domain: String,
    #[command(flatten)]
    pub(crate) look_up: LookUpOptions,
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
        value_parser = parse_daemon,
        help_heading = "Daemon"
    )]
    pub(crate) address: String,
    /// The daemon's token file: `token` in the data folder of a daemon with --require-token, or the file of its --shared-token.
    #[arg(long, global = true, value_name = "FILE", env = "RKE_TOKEN_FILE", help_heading = "Daemon")]
    pub(crate) token_file: Option<PathBuf>,
    /// How long the daemon may take to respond. Data that it then sends or takes piece by piece may take any time.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        env = "RKE_TIMEOUT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        help_heading = "Daemon"
    )]
    pub(crate) timeout: u64,
}

impl DaemonOptions {
    pub(crate) fn client(&self) -> Client {
        let client = Client::new(&self.address).with_timeout(self.timeout());
        match &self.token_file {
            Some(path) => client.with_token_file(path),
            None => client,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Which daemon to ask, and how to print what it says.
#[derive(Args)]
pub(crate) struct Output {
    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,
    /// Print JSON instead of text: the daemon's response as it came.
    #[arg(long, global = true, help_heading = "Daemon")]
    pub(crate) json: bool,
}
