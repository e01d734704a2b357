//! The interface of the fuzz targets to the DNS parsers. No shipped program has this module.

use std::net::SocketAddr;

use hickory_resolver::proto::rr::RData;

use super::{Target, system, targets};
use crate::model::server_name::ServerName;

/// The targets of SRV records, in the order in which they are shown.
pub fn targets(records: &[RData]) -> Vec<Target> {
    targets::of_records(records)
}

/// The order in which a client that draws these numbers tries the targets.
pub fn in_turn(targets: Vec<Target>, draw: impl FnMut(u32) -> u32) -> Vec<ServerName> {
    targets::in_turn(targets, draw)
}

/// The text of a TXT record.
pub fn text(record: &RData) -> Option<String> {
    super::joined_text(record)
}

/// The servers in a `resolv.conf`.
pub fn dns_servers(resolv_conf: &[u8]) -> Vec<SocketAddr> {
    system::dns_servers(resolv_conf)
}
