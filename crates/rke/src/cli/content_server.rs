//! The commands of a Content Server, and their flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use rke_engine::Domain;
use rke_proto::{ContentServerId, KeySetId};
use rke_raida::content_server::{MAX_LIFETIME_SECONDS, MAX_TTL, RecordFormat};
use rke_raida::replay::DEFAULT_PLACES;

use super::listing::Listing;
use super::session_keys::{ApiOptions, SealedOptions, ServeApiOptions};
use super::{LogOptions, parse_cs_id, parse_key_set};
use crate::parse::{parse_address, parse_domain, parse_host, parse_replay_places, parse_target};
use crate::protection::{Protection, parse_places};
use crate::sandbox::SandboxOptions;
use crate::settings::WrongSettings;
use crate::switch::Switch;

/// How long DNS servers may keep records where nothing else is said, in seconds.
const DEFAULT_TTL: u32 = 3600;

#[derive(Subcommand)]
pub(crate) enum ContentServerCommand {
    /// Make a key set's master secrets, preload them to the RAIDAs, print the DNS records to publish.
    Preload {
        /// The number of the key set.
        #[arg(long, value_name = "NUMBER", env = "RKE_KEY_SET", default_value = "1", value_parser = parse_key_set)]
        key_set: KeySetId,
        /// Make it a key set of narrow shares, which are 1 byte each, as unmodified RAIDAs of the public network give them.
        /// Keys have 256 bits, but client and Content Server know each other only weakly. It needs a domain of its own, and a
        /// `serve` with --allow-weak-shares.
        #[arg(long, env = "RKE_NARROW", group = "one_byte_shares", value_parser = Switch)]
        narrow: bool,
        /// Make it a key set of narrow shares for live sessions, whose keys have 8 bits: for clients of the public network.
        /// The same holds for it.
        #[arg(long, env = "RKE_LIVE", group = "one_byte_shares", value_parser = Switch)]
        live: bool,
        /// Preload the master secrets under the Content Server ID in lower case as well: some clients of the public network
        /// lower-case it. For key sets of narrow shares.
        #[arg(long, env = "RKE_LOWER_CASE_TOO", requires = "one_byte_shares", value_parser = Switch)]
        lower_case_too: bool,
        #[command(flatten)]
        options: PreloadOptions,
    },
    /// Accept clients: agree on keys with them, and put a command behind their tunnels.
    Serve(ContentServerOptions),
    /// Make the next key set next to the old ones, preload it, print the records to publish instead,
    /// and retire the old ones after a while. A running `serve` with the same --data-dir picks it up.
    Rotate {
        /// Seconds until the old key sets are no longer served.
        #[arg(long, value_name = "SECONDS", env = "RKE_RETIRE_AFTER", default_value_t = 172_800)]
        retire_after: u64,
        #[command(flatten)]
        options: PreloadOptions,
    },
    /// List the sessions of a running Content Server: the ids of their keys, the coins that clients have proven, the domains,
    /// and since when.
    List {
        #[command(flatten)]
        listing: Listing,
        /// Print JSON instead of text: the response as it came.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        api: ApiOptions,
    },
    /// Seal a file or standard input with a session's key, for the client at the other end.
    Seal(SealedOptions),
    /// Open what the client at the other end has sealed with `rke encrypt`.
    Open(SealedOptions),
}

/// Whose key sets, and where they lie.
#[derive(Args)]
pub(crate) struct KeyRingOptions {
    /// The Content Server ID.
    #[arg(long, value_name = "ID", env = "RKE_CS_ID", value_parser = parse_cs_id)]
    pub(crate) cs_id: ContentServerId,
    /// Where its master secrets are kept, sealed.
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
}

/// Master secrets for the RAIDAs, and records for DNS.
#[derive(Args)]
pub(crate) struct PreloadOptions {
    #[command(flatten)]
    pub(crate) keys: KeyRingOptions,
    /// The domain that its records are published under.
    #[arg(long, value_name = "DOMAIN", env = "RKE_DOMAIN", value_parser = parse_domain)]
    pub(crate) domain: Domain,
    /// The host that the SRV record names: a name that has an A or AAAA record, not an address.
    #[arg(long, value_name = "HOST", env = "RKE_HOST", value_parser = parse_host)]
    pub(crate) host: Domain,
    /// The port that the SRV record names.
    #[arg(long, value_name = "PORT", env = "RKE_PORT", default_value_t = 443, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) records: RecordOptions,
    /// File of lines `host:port index`: the nodes to preload to.
    #[arg(long, value_name = "FILE", env = "RKE_RAIDA_DIRECTORY")]
    pub(crate) raida_directory: PathBuf,
    /// The wallet whose coins the nodes let preload.
    #[arg(long, value_name = "DIR", env = "RKE_WALLET")]
    pub(crate) wallet: PathBuf,
    /// Seconds to wait for the nodes.
    #[arg(long, value_name = "SECONDS", env = "RKE_EXCHANGE_TIMEOUT", default_value_t = 5)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) protection: Protection,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// How the records are printed.
#[derive(Args)]
pub(crate) struct RecordOptions {
    /// The form in which to print the records.
    #[arg(long, value_name = "FORMAT", env = "RKE_FORMAT", default_value = "zone")]
    pub(crate) format: RecordFormatChoice,
    /// Seconds for which DNS servers may keep the records, 2147483647 at most [default: 3600]. Not for dnsmasq, which has one
    /// such time for all of its records: `local-ttl` in its configuration.
    #[arg(long, value_name = "SECONDS", env = "RKE_TTL", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_TTL)))]
    ttl: Option<u32>,
}

impl RecordOptions {
    /// Whether all of them have an effect.
    ///
    /// # Errors
    /// [`WrongSettings`].
    pub(crate) fn check(&self) -> Result<(), WrongSettings> {
        match (self.format, self.ttl) {
            (RecordFormatChoice::Dnsmasq, Some(ttl)) => Err(WrongSettings(anyhow!(
                "--ttl has no effect with --format dnsmasq: dnsmasq has one time to live for all records of its \
                 configuration. Leave --ttl out, and set local-ttl={ttl} there"
            ))),
            _ => Ok(()),
        }
    }

    /// In seconds.
    pub(crate) fn ttl(&self) -> u32 {
        self.ttl.unwrap_or(DEFAULT_TTL)
    }
}

/// The form of printed records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormatChoice {
    /// Lines of a zone file.
    Zone,
    /// Input for nsupdate: it replaces the SRV and TXT records at the name.
    Nsupdate,
    /// Lines of dnsmasq's configuration.
    Dnsmasq,
    /// A JSON array with an object for each record.
    Json,
}

impl From<RecordFormatChoice> for RecordFormat {
    fn from(choice: RecordFormatChoice) -> Self {
        match choice {
            RecordFormatChoice::Zone => Self::Zone,
            RecordFormatChoice::Nsupdate => Self::Nsupdate,
            RecordFormatChoice::Dnsmasq => Self::Dnsmasq,
            RecordFormatChoice::Json => Self::Json,
        }
    }
}

/// A running Content Server.
#[derive(Args)]
pub(crate) struct ContentServerOptions {
    #[command(flatten)]
    pub(crate) keys: KeyRingOptions,
    /// Where it listens (TCP).
    #[arg(long, value_name = "ADDR", env = "RKE_LISTEN", default_value = "0.0.0.0:443", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    /// A domain that it serves: others are refused. Repeatable, or with commas between domains. Without it, all
    /// domains are served.
    #[arg(long = "domain", value_name = "DOMAIN", env = "RKE_DOMAIN", value_delimiter = ',', value_parser = parse_domain)]
    pub(crate) domains: Vec<Domain>,
    /// Shell command, run once for each connection: the client's data on its standard input, its
    /// standard output to the client. Without it, what clients send comes back to them.
    #[arg(long, value_name = "COMMAND", env = "RKE_EXEC")]
    pub(crate) exec: Option<String>,
    /// TCP address that each connection is carried to, in place of a command: a server that knows nothing of rke. A name
    /// is looked up at the start, and again when it cannot be connected to.
    #[arg(long, value_name = "HOST:PORT", env = "RKE_FORWARD", conflicts_with = "exec", value_parser = parse_target)]
    pub(crate) forward: Option<String>,
    /// Seconds that a key is good for after its handshake, at most a day.
    #[arg(long, value_name = "SECONDS", env = "RKE_KEY_LIFETIME", default_value_t = MAX_LIFETIME_SECONDS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIFETIME_SECONDS)))]
    pub(crate) key_lifetime: u32,
    /// Most keys at one time. One more takes the place of the key unused for longest.
    #[arg(long, value_name = "N", env = "RKE_MAX_KEYS", default_value_t = 10_000, value_parser = parse_places)]
    pub(crate) max_keys: usize,
    /// Most keys of one coin, so most sessions of a client that has one coin. One more takes the place of the coin's
    /// key unused for longest.
    #[arg(long, value_name = "N", env = "RKE_KEYS_PER_COIN", default_value_t = 32, value_parser = parse_places)]
    pub(crate) keys_per_coin: usize,
    /// Most keys of all sessions that prove no coin, together.
    #[arg(long, value_name = "N", env = "RKE_UNPROVEN_KEYS", default_value_t = 256, value_parser = parse_places)]
    pub(crate) unproven_keys: usize,
    /// Most handshakes to remember, for ten minutes each, so that none is accepted twice. Memory is used only as needed.
    #[arg(long, value_name = "N", env = "RKE_REPLAY_MEMORY", default_value_t = DEFAULT_PLACES, value_parser = parse_replay_places)]
    pub(crate) replay_memory: usize,
    /// Seconds after which a silent connection is closed.
    #[arg(long, value_name = "SECONDS", env = "RKE_IDLE_TIMEOUT", default_value_t = 300)]
    pub(crate) idle_timeout: u64,
    /// Most connections at one time; more wait.
    #[arg(long, value_name = "N", env = "RKE_MAX_CONNECTIONS", default_value_t = 1024, value_parser = parse_places)]
    pub(crate) max_connections: usize,
    /// Most commands of --exec that run at one time. A connection beyond that is broken off.
    #[arg(long, value_name = "N", env = "RKE_MAX_COMMANDS", default_value_t = 256, value_parser = parse_places)]
    pub(crate) max_commands: usize,
    /// Serve key sets of 1-byte shares too: those of `preload --narrow`, and those of `preload --live`, whose keys have 8
    /// bits.
    #[arg(long, env = "RKE_ALLOW_WEAK_SHARES", value_parser = Switch)]
    pub(crate) allow_weak_shares: bool,
    #[command(flatten)]
    pub(crate) api: ServeApiOptions,
    #[command(flatten)]
    pub(crate) protection: Protection,
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}
