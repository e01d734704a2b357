//! `rke net`: a whole network of one's own, each part of it a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rke_engine::Domain;

use crate::parse::{parse_address, parse_domain};
use crate::protection::Protection;

/// How many ports a network has: 25 nodes, DNS, Content Server and daemon, in this order.
pub(crate) const PORTS: u16 = 28;

/// The last port that a network may begin with.
const LAST_FIRST: u16 = u16::MAX - PORTS + 1;

#[derive(Subcommand)]
pub(crate) enum NetCommand {
    /// Make a network, unless the folder has one, start its parts in the background, and return when a session can be opened.
    Up(UpOptions),
    /// Show the parts of a network. Exit code 1 if one of them is not running.
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Stop all parts of a network. Its coins, keys and settings stay.
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Run the DNS server of a network: it knows a Content Server's records, and takes its host for this machine.
    Dns {
        /// The records, as `rke content-server preload` prints them.
        #[arg(long, value_name = "FILE")]
        records: PathBuf,
        /// Where it listens (UDP and TCP).
        #[arg(long, value_name = "ADDR", value_parser = parse_address)]
        listen: SocketAddr,
    },
}

/// Which network.
#[derive(Args)]
pub(crate) struct Place {
    /// The folder of the network [default: rke-net in the XDG data folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What a network is to be.
#[derive(Args)]
pub(crate) struct UpOptions {
    /// The domain of its Content Server. Needed when the network is made.
    #[arg(long, value_name = "DOMAIN", value_parser = parse_domain)]
    pub(crate) domain: Option<Domain>,
    /// Shell command behind its Content Server, run once for each connection: the client's data on its standard input, its
    /// standard output to the client. Without it, what clients send comes back to them.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
    /// The ports to take: free ones, or this one and the 27 after it.
    #[arg(long, value_name = "auto|FIRST", default_value = "auto", value_parser = parse_ports)]
    pub(crate) ports: Ports,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) protection: Protection,
}

/// The ports of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    Auto,
    /// This one and those after it.
    From(u16),
}

fn parse_ports(text: &str) -> Result<Ports, String> {
    if text == "auto" {
        return Ok(Ports::Auto);
    }
    let first = text.parse().ok().filter(|first| (1..=LAST_FIRST).contains(first));
    first
        .map(Ports::From)
        .ok_or_else(|| format!("it must be `auto`, or the first port, from 1 to {LAST_FIRST}"))
}
