//! Why DNS did not help, in words for people.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RecordType;
use rke_proto::records::KeySets;

use super::system::shown;
use crate::Domain;

/// Why a Content Server could not be found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// DNS has no name for the service of the domain.
    #[error(
        "{0} is not found: DNS has no name _rke._udp.{0}. Check the spelling of the domain; its operator publishes the \
         records that `rke content-server preload` prints"
    )]
    NotFound(Domain),
    /// The name exists but lacks one of the records.
    #[error(
        "{domain} has no {record} record at _rke._udp.{domain}. Publish the records that `rke content-server preload` \
         printed, or check the spelling"
    )]
    NoRecord {
        domain: Domain,
        /// The missing record.
        record: RecordType,
    },
    /// The domain says that it has no Content Server.
    #[error("{0} has no Content Server: its SRV record at _rke._udp.{0} says so, with the target \".\"")]
    NoTarget(Domain),
    /// A host has no address.
    #[error("{0} is not found: DNS has no address of this host. Ask the operator of the domain")]
    NoAddress(String),
    /// The look-up itself failed.
    #[error("{record} look-up of {name}: {failure}")]
    LookUp {
        /// What was looked up.
        record: RecordType,
        /// The name that was looked up.
        name: String,
        /// What went wrong, and what to do.
        failure: Failure,
    },
    /// DNS names only addresses that may not be used.
    #[error("{host} is at {address}, {fault}")]
    OutOfReach {
        /// The Content Server's host.
        host: String,
        /// The first of its addresses.
        address: SocketAddr,
        /// What is wrong with it, and what to do.
        fault: &'static str,
    },
    /// No key set is usable.
    #[error("no usable key set: a key set needs {required} RAIDA servers with a known index, and {found}")]
    NoKeySet {
        /// How many RAIDAs are required.
        required: u8,
        /// What was found instead, in words for people.
        found: String,
    },
    /// The key sets are narrow, and a line that may say otherwise cannot be read.
    #[error(
        "no usable key set: the records give only weak (1-byte) key shares, and a line that may require more cannot be \
         read. {0}. Ask the operator of the domain to correct it"
    )]
    Unclear(String),
    /// The records require shares or a handshake that this version does not have.
    #[error(
        "the Content Server requires shares or a handshake that this version of rke does not have; it needs a newer one"
    )]
    Unsupported,
    /// The deadline passed.
    #[error("no response from DNS in time; check the network, or start the daemon with --dns-server IP:PORT")]
    TimedOut,
}

impl DiscoveryError {
    /// The error for key sets of which none can be used.
    pub fn no_key_set(sets: &KeySets) -> Self {
        let counts = sets.all.iter().map(|set| format!("{} has {}", set.key_set, set.servers.len()));
        let counts: Vec<String> = counts.collect();
        let mut found = if counts.is_empty() { "there is none".into() } else { counts.join(", ") };
        if let Some(first) = sets.warnings[..sets.left_out].first() {
            found += ". The first of what is left out: ";
            found += first;
        }
        Self::NoKeySet { required: sets.required, found }
    }
}

/// Why the keys that validation starts with cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The file of DNSSEC keys cannot be read.
    #[error("cannot read the file {path} that --dnssec-anchors names: {source}")]
    Anchors {
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file has a record of another type.
    #[error(
        "line {number} of {path}, which --dnssec-anchors names, is a {kind} record; put the zone's DNSKEY records \
         there, as `dig DNSKEY` prints them"
    )]
    NotDnskey {
        path: PathBuf,
        /// The line, from 1.
        number: usize,
        kind: RecordType,
    },
    /// The file has something that is not a record.
    #[error(
        "line {number} of {path}, which --dnssec-anchors names, is not a DNSKEY record on one line, such as \
         `example.com. 3600 IN DNSKEY 257 3 13 mdsswUyr3DPW…`"
    )]
    WrongAnchor {
        path: PathBuf,
        /// The line, from 1.
        number: usize,
    },
    /// The file has no keys.
    #[error(
        "{0}, which --dnssec-anchors names, has no DNSKEY record; put those of a zone there, or leave the flag out \
         to begin with the keys of the root"
    )]
    NoAnchors(PathBuf),
}

/// Why a look-up found nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name does not exist.
    #[error("there is no such name")]
    NoName,
    /// It has no records of the type.
    #[error("there is no such record")]
    NoRecord,
    /// No server gave a response about the name.
    #[error("{0}. Check the network, or start the daemon with --dns-server IP:PORT")]
    Unanswered(Unanswered),
    /// The response is forged, or signed wrongly.
    #[error(
        "the response fails DNSSEC validation: it is forged, signed wrongly, or the DNS server leaves out what \
         validation needs. Ask the operator of the domain, or start the daemon with --dns-server and one that passes DNSSEC on"
    )]
    Bogus,
    /// The response is not signed, but has to be.
    #[error(
        "the response is not signed, and the daemon runs with --dnssec require. Ask the operator of the domain to sign \
         it, or start the daemon with --dnssec try"
    )]
    Unsigned,
    /// The name is beneath none of the zones with configured keys.
    #[error(
        "no key in the file of --dnssec-anchors is that of a zone above this name, and the daemon runs with --dnssec \
         require. Add the zone's DNSKEY records to the file"
    )]
    Outside,
    /// The chain of aliases is too long.
    #[error(
        "too many aliases (CNAME) lead on from this name. Ask the operator of the domain to correct them"
    )]
    Loop,
    /// DNS cannot have such a name.
    #[error("this is not a name that DNS can have. Ask the operator of the domain to correct it")]
    NotAName,
}

impl Failure {
    /// Turns the validator's error into a failure.
    pub(super) fn of_validation(error: &NetError) -> Self {
        match error {
            NetError::Io(error) => {
                error.get_ref().and_then(|inner| inner.downcast_ref::<Unanswered>()).map_or_else(
                    || Self::Unanswered(Unanswered(Vec::new())),
                    |unanswered| Self::Unanswered(unanswered.clone()),
                )
            }
            NetError::Dns(DnsError::NoRecordsFound(_)) => Self::NoRecord,
            _ => Self::Bogus,
        }
    }
}

/// Why a DNS server gave no usable response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// It did not respond in time.
    #[error("did not respond")]
    Silent,
    /// Its machine reports that nothing listens there.
    #[error("refuses connections")]
    Closed,
    /// It cannot be reached.
    #[error("is unreachable")]
    Unreachable,
    /// It refused the request.
    #[error("refused to look this name up")]
    Refused,
    /// It tried and failed.
    #[error("failed to find out (SERVFAIL)")]
    Failed,
    /// It did not understand the request.
    #[error("did not understand the request")]
    Rejected,
    /// It serves only its own zones.
    #[error("does not look names up for others")]
    NoResolver,
    /// Its response does not fit in UDP, and TCP does not work.
    #[error("has a response that needs TCP, and does not respond over TCP")]
    NoTcp,
    /// Its response cannot be parsed.
    #[error("sent a response that cannot be read")]
    Unreadable,
}

impl From<io::Error> for ServerFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Unreachable,
        }
    }
}

/// Why each DNS server gave no usable response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unanswered(pub Vec<(SocketAddr, ServerFault)>);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no DNS server responded");
        }
        for (at, (server, fault)) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { "; " };
            write!(f, "{before}the DNS server {} {fault}", shown(*server))?;
        }
        Ok(())
    }
}

impl std::error::Error for Unanswered {}

impl Unanswered {
    /// Wraps the error, so that it passes through the validator.
    pub(super) fn into_net_error(self) -> NetError {
        NetError::Io(Arc::new(io::Error::other(self)))
    }
}
