//! Why DNS did not help, in words for people.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

/// Why a Content Server could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The look-up itself failed.
    #[error("{record} look-up of {name}: {reason}")]
    LookUp {
        /// What was looked up.
        record: RecordType,
        /// The name that was looked up.
        name: String,
        /// What went wrong, and what to do.
        reason: &'static str,
    },
    /// The records do not say where the Content Server is.
    #[error("{0} has no SRV record that names a Content Server")]
    NoTarget(String),
    /// All that DNS names are addresses that may not be asked.
    #[error("{host} is at {address}, {fault}")]
    OutOfReach {
        /// The Content Server's host.
        host: String,
        /// The first of its addresses.
        address: SocketAddr,
        /// What is wrong with it, and what to do.
        fault: &'static str,
    },
    /// No key set can make a key.
    #[error("no key set has {required} RAIDA servers with a known index{found}")]
    NoKeySet {
        /// RAIDAs that are required.
        required: u8,
        /// What there is instead, for a person to read.
        found: String,
    },
    /// The records require shares or a handshake that this version does not have.
    #[error(
        "the Content Server requires shares or a handshake that this version of rke does not have; it needs a newer one"
    )]
    Unsupported,
    /// The deadline came first.
    #[error("no response from DNS in time")]
    TimedOut,
}

/// Why the resolver could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The system does not say which DNS servers it uses.
    #[error("cannot read from /etc/resolv.conf which DNS servers to ask: {0}; name one with --dns-server")]
    System(NetError),
    /// The file of DNSSEC keys cannot be read.
    #[error("cannot read the file {path} that --dnssec-anchors names: {source}")]
    Anchors {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has a record of another kind.
    #[error(
        "line {number} of {path}, which --dnssec-anchors names, is a {kind} record; put the zone's DNSKEY records \
         there, as `dig DNSKEY` prints them"
    )]
    NotDnskey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
        /// Its kind.
        kind: RecordType,
    },
    /// It has something else.
    #[error(
        "line {number} of {path}, which --dnssec-anchors names, is not a DNSKEY record on one line, such as \
         `example.com. 3600 IN DNSKEY 257 3 13 mdsswUyr3DPW…`"
    )]
    WrongAnchor {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
    },
    /// It has nothing.
    #[error(
        "{0}, which --dnssec-anchors names, has no DNSKEY record; put those of a zone there, or leave the flag out \
         to begin with the keys of the root"
    )]
    NoAnchors(PathBuf),
}

/// A look-up that failed.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    /// What it means, and what to do about it.
    pub(super) reason: &'static str,
    /// Whether there may be records all the same, behind an alias.
    pub(super) may_be_alias: bool,
}

impl Failure {
    /// There is no such record.
    pub(super) const ABSENT: Self = Self { reason: ABSENT, may_be_alias: true };

    /// One that no alias helps against.
    pub(super) fn at_once(reason: &'static str) -> Self {
        Self { reason, may_be_alias: false }
    }

    pub(super) fn of(error: &NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(_)) => Self::ABSENT,
            NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }) => {
                Self { reason: BOGUS, may_be_alias: true }
            }
            _ => Self::at_once(reason(error)),
        }
    }
}

const ABSENT: &str = "there is no such record. Check the spelling of the domain; its operator publishes the records \
                      that `rke content-server preload` prints";

const BOGUS: &str = "the response fails DNSSEC validation: it is forged, signed wrongly, or the DNS server leaves out \
                     what validation needs. Ask the operator of the domain, or name a DNS server that passes DNSSEC \
                     on with --dns-server";

fn reason(error: &NetError) -> &'static str {
    match error {
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            "the DNS server refuses to answer for this domain; name another one with --dns-server"
        }
        NetError::Dns(_) => "the DNS server failed; try again, or name another one with --dns-server",
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => {
            "no DNS server answers; check the network, or name a DNS server with --dns-server"
        }
        NetError::Busy => "too many look-ups are running; try again in a few seconds",
        _ => "this is not a name that DNS can have, or the response cannot be read",
    }
}
