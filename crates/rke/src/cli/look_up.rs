//! The flags of commands that look a domain up themselves, as a daemon would.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::parse::parse_address;
use crate::switch::Switch;

/// Whom to ask about a domain, and what to make of it.
#[derive(Args)]
pub(crate) struct LookUpOptions {
    /// The DNS server to ask [default: the daemon's, else the system's].
    #[arg(long, value_name = "IP:PORT", env = "RKE_DNS_SERVER", value_parser = parse_address)]
    pub(crate) dns_server: Option<SocketAddr>,
    /// Accept private, link-local and loopback addresses from it, as a daemon with this flag does.
    #[arg(long, env = "RKE_ALLOW_PRIVATE_RAIDAS", value_parser = Switch)]
    pub(crate) allow_private_raidas: bool,
    /// File of lines `host:port index` for records that do not name their RAIDA.
    #[arg(long, value_name = "FILE", env = "RKE_RAIDA_DIRECTORY")]
    pub(crate) raida_directory: Option<PathBuf>,
}
