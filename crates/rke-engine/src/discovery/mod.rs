//! Finds a Content Server in DNS: its SRV target, and the key sets in its TXT records. `docs/protocol.md` section 1.

mod anchors;
mod cache;
mod error;
mod query;
mod resolvers;
mod system;
mod targets;
#[cfg(feature = "testing")]
pub mod testing;
mod upstreams;

use std::net::{IpAddr, SocketAddr};

use arc_swap::ArcSwap;
use hickory_resolver::proto::rr::{RData, RecordType};
use rke_proto::RaidaIndex;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_proto::records::{KeySets, Records, SERVICE};

pub use self::anchors::{Dnssec, Validation};
pub use self::error::{DiscoveryError, Failure, ResolverError, ServerFault, Unanswered};
use self::resolvers::Resolvers;
pub(crate) use self::targets::Candidates;
pub use self::targets::{Candidate, Target};
use self::upstreams::Upstreams;
use crate::Domain;
use crate::model::server_name::ServerName;

/// What DNS says about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// Where the Content Server is: at least one target, the one with the most clients first.
    pub targets: Vec<Target>,
    /// Its key sets and requirements.
    pub sets: KeySets,
}

impl Discovered {
    /// The target that is shown.
    pub fn first(&self) -> &ServerName {
        &self.targets[0].server
    }
}

/// What DNS has at the name of a domain's records, each kind by itself.
pub struct Published {
    /// Where the Content Server is: at least one place, that of most clients first.
    pub targets: Result<Vec<Target>, DiscoveryError>,
    /// The text of each TXT record.
    pub texts: Result<Vec<String>, DiscoveryError>,
}

/// Asks DNS.
pub struct Discovery {
    resolvers: Resolvers,
    directory: ArcSwap<Directory>,
    reach: Reach,
}

impl Discovery {
    /// A discovery that asks `dns_server`, or the system's servers, and validates their responses. It accepts
    /// addresses within `reach`.
    pub fn new(
        dns_server: Option<SocketAddr>,
        validation: Validation,
        directory: Directory,
        reach: Reach,
    ) -> Self {
        let resolvers = Resolvers::asking(Upstreams::new(dns_server), validation);
        Self { resolvers, directory: ArcSwap::from_pointee(directory), reach }
    }

    /// Applies another directory of the operator.
    pub(crate) fn set_directory(&self, directory: Directory) {
        self.directory.rcu(|known| directory.clone().with_agreed_of(known));
    }

    /// Applies what the guardians agree on now.
    pub(crate) fn set_agreed(&self, agreed: Vec<(SocketAddr, RaidaIndex)>) {
        self.directory.rcu(|known| Directory::clone(known).with_agreed(agreed.clone()));
    }

    /// Which addresses from other sources may be used.
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// Ignores what was looked up so far, whatever its time to live.
    pub(crate) fn look_again(&self) {
        self.resolvers.clear();
    }

    /// Finds the Content Server of `domain`. Aliases can make this slow, so the caller sets a deadline.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn discover(&self, domain: &Domain) -> Result<Discovered, DiscoveryError> {
        let Published { targets, texts } = self.published(domain).await;
        // Of two failures it is always the same one that is reported.
        let (targets, texts) = (targets?, texts?);
        let sets =
            Records::parse(texts.iter().map(String::as_str)).key_sets(&self.directory.load(), self.reach);
        Ok(Discovered { targets, sets })
    }

    /// The records of `domain` as they are. The caller sets a deadline, as for [`Self::discover`].
    pub async fn published(&self, domain: &Domain) -> Published {
        let look_up = |record| self.service_records(domain, record);
        let (srv, txt) = tokio::join!(look_up(RecordType::SRV), look_up(RecordType::TXT));
        let targets = srv.and_then(|srv| match targets::of_records(&srv) {
            targets if targets.is_empty() => Err(DiscoveryError::NoTarget(domain.clone())),
            targets => Ok(targets),
        });
        Published { targets, texts: txt.map(|txt| txt.iter().filter_map(joined_text).collect()) }
    }

    async fn service_records(
        &self,
        domain: &Domain,
        record: RecordType,
    ) -> Result<Vec<RData>, DiscoveryError> {
        let name = format!("{SERVICE}.{domain}");
        let found = self.resolvers.look_up(&name, &[record]).await;
        found.map_err(|failure| match failure {
            Failure::NoName => DiscoveryError::NotFound(domain.clone()),
            Failure::NoRecord => DiscoveryError::NoRecord { domain: domain.clone(), record },
            failure => DiscoveryError::LookUp { record, name, failure },
        })
    }

    /// All addresses of all targets, in the order in which they are tried.
    pub(crate) fn candidates(&self, targets: &[Target]) -> Candidates<'_> {
        self.candidates_of(targets::in_turn(targets.to_vec(), draw))
    }

    /// All addresses of one server.
    pub(crate) fn candidates_at(&self, server: &ServerName) -> Candidates<'_> {
        self.candidates_of(vec![server.clone()])
    }

    fn candidates_of(&self, servers: Vec<ServerName>) -> Candidates<'_> {
        Candidates::new(servers, async |server| self.addresses(&server.host, server.port).await)
    }

    /// All addresses of a server that the operator names, without a restriction on where they are.
    pub(crate) fn candidates_of_operator(&self, server: &ServerName) -> Candidates<'_> {
        let look_up = async |server: ServerName| self.all_addresses(&server.host, server.port).await;
        Candidates::new(vec![server.clone()], look_up)
    }

    /// The addresses of the host that an SRV record names, in the order in which they are tried.
    ///
    /// # Errors
    /// [`DiscoveryError`], also if the host has no address of either kind.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DiscoveryError> {
        self.within_reach(host, self.all_addresses(host, port).await?)
    }

    /// Like [`Discovery::addresses`], including addresses that may not be used.
    pub(crate) async fn all_addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, DiscoveryError> {
        let at_port = |address| SocketAddr::new(address, port);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![at_port(address)]);
        }
        let found = self.resolvers.look_up(host, &[RecordType::AAAA, RecordType::A]).await;
        let found = found.map_err(|failure| match failure {
            Failure::NoName | Failure::NoRecord => DiscoveryError::NoAddress(host.to_owned()),
            failure => DiscoveryError::LookUp { record: RecordType::A, name: host.to_owned(), failure },
        })?;
        Ok(targets::mixed(found.iter().filter_map(RData::ip_addr)).into_iter().map(at_port).collect())
    }

    /// The addresses of a Content Server that may be used.
    fn within_reach(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DiscoveryError> {
        let (mut usable, mut first) = (Vec::new(), None);
        for address in found {
            match self.reach.fault(address) {
                Some(fault) => first = first.or(Some((address, fault))),
                None => usable.push(address),
            }
        }
        match first {
            Some((address, fault)) if usable.is_empty() => {
                Err(DiscoveryError::OutOfReach { host: host.to_owned(), address, fault })
            }
            _ => Ok(usable),
        }
    }
}

/// Which addresses may be used: all of them if the operator allows it, or uses a DNS server on this machine, which is
/// their own. A resolver of the system that listens on this machine, such as systemd-resolved, does not count.
pub fn reach(dns_server: Option<SocketAddr>, allow_private_raidas: bool) -> Reach {
    match allow_private_raidas || dns_server.is_some_and(|server| server.ip().to_canonical().is_loopback()) {
        true => Reach::Everywhere,
        false => Reach::Public,
    }
}

/// A random number from 0 to `most`, inclusive. Weights need no better randomness than this.
fn draw(most: u32) -> u32 {
    let mut bytes = [0; 4];
    // Without random bytes the number is 0, and the first target is taken, as without weights.
    let _ = getrandom::fill(&mut bytes);
    ((u64::from(u32::from_le_bytes(bytes)) * (u64::from(most) + 1)) >> 32) as u32
}

/// The character-strings of a TXT record, joined without a separator.
fn joined_text(data: &RData) -> Option<String> {
    match data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
