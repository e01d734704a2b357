//! `rke net`: a whole network of one's own, each part of it a process of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rke_engine::Domain;

use crate::parse::{parse_address, parse_domain};
use crate::protection::Protection;

/// The fewest ports of a network: those of 25 nodes, DNS, Content Server and daemon, in this order.
const FEWEST_PORTS: u16 = 28;

/// The last port that a network may begin with.
const LAST_FIRST: u16 = u16::MAX - FEWEST_PORTS + 1;

/// How many daemons, or Content Servers, a network may have.
pub(crate) const INSTANCES: RangeInclusive<i64> = 1..=16;

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
    /// Run the DNS server of a network: it knows a Content Server's records, and where its host is.
    Dns {
        /// The records, as `rke content-server preload` prints them.
        #[arg(long, value_name = "FILE")]
        records: PathBuf,
        /// Where it listens (UDP and TCP).
        #[arg(long, value_name = "ADDR", value_parser = parse_address)]
        listen: SocketAddr,
        /// The address of the Content Server's host. Repeatable: clients try one after the other.
        #[arg(long = "host-address", value_name = "IP", default_values_t = [IpAddr::V4(Ipv4Addr::LOCALHOST)])]
        addresses: Vec<IpAddr>,
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
    /// How many daemons share their sessions [default: 1]. More than one daemon or Content Server share what they have in a store,
    /// for which the network runs a redis-server or valkey-server.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(INSTANCES))]
    pub(crate) daemons: Option<u8>,
    /// How many instances of the Content Server share their keys [default: 1]. Each has an address of loopback of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(INSTANCES))]
    pub(crate) content_servers: Option<u8>,
    /// The ports to take: free ones, or this one and those after it: 28, one more for each further daemon, and one for the store.
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
