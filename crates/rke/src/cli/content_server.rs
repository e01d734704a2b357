//! The commands of a Content Server, and their flags.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use rke_engine::Domain;
use rke_proto::{ContentServerId, KeySetId};
use rke_raida::content_server::{MAX_TTL, RecordFormat};

use super::listing::Listing;
use super::session_keys::{ApiOptions, SealedOptions};
use super::status::StatusOptions;
use super::{LogOptions, parse_key_set};
use crate::parse::{parse_cs_id, parse_domain, parse_host};
use crate::protection::Protection;
use crate::settings::WrongSettings;
use crate::settings::content_server::ContentServerOptions;
use crate::switch::Switch;

/// How long DNS servers may keep records where nothing else is said, in seconds.
const DEFAULT_TTL: u32 = 3600;

#[derive(Subcommand)]
pub(crate) enum ContentServerCommand {
    /// Make a key set's master secrets, preload them to the RAIDAs, print the DNS records to publish.
    Preload {
        /// The number of the key set [default: that of the newest in service; 1 where there is none].
        #[arg(long, value_name = "NUMBER", env = "RKE_KEY_SET", value_parser = parse_key_set)]
        key_set: Option<KeySetId>,
        /// Make it a key set of narrow shares, which are 1 byte each, as unmodified RAIDAs of the public network give them.
        /// Keys have 256 bits, but client and Content Server know each other only weakly. It needs a domain of its own, and a
        /// `serve` with --allow-weak-shares.
        #[arg(long, env = "RKE_NARROW", group = "one_byte_shares", value_parser = Switch)]
        narrow: bool,
        /// Make it a key set of narrow shares for live sessions, whose keys have 8 bits: for clients of the public network.
        /// It too needs a domain of its own, and a `serve` with --allow-weak-shares.
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
    Serve(Box<ContentServerOptions>),
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
    /// Ask a running Content Server, where its --metrics is, how it is doing.
    Status(StatusOptions),
    /// List the key sets in a data folder: where they are preloaded, since when, and when they retire. The Content Server may
    /// be running.
    KeySets {
        /// The data folder.
        #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
        data_dir: PathBuf,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
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
