//! Finds a Content Server in DNS: its SRV target, and the key sets that its TXT records give.
//! `docs/protocol.md` section 1.

mod anchors;
mod error;
mod resolvers;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_resolver::proto::rr::{RData, RecordType};
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_proto::records::{KeySets, Records};

pub use self::anchors::{Dnssec, Validation};
pub use self::error::{DiscoveryError, ResolverError};
use self::resolvers::Resolvers;
use crate::Domain;

/// What DNS says of a domain.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The Content Server's host name or address.
    pub target_host: String,
    /// Its TCP port.
    pub target_port: u16,
    /// Its key sets and requirements.
    pub sets: KeySets,
}

/// Asks DNS.
pub struct Discovery {
    resolvers: Resolvers,
    directory: ArcSwap<Directory>,
    reach: Reach,
}

impl Discovery {
    /// A discovery that asks `dns_server`, or the system's servers, and validates what they say. It takes addresses that are
    /// within `reach`.
    ///
    /// # Errors
    /// [`ResolverError`], such as a system configuration that cannot be read.
    pub fn new(
        dns_server: Option<SocketAddr>,
        validation: Validation,
        directory: Directory,
        reach: Reach,
    ) -> Result<Self, ResolverError> {
        let resolvers = Resolvers::new(dns_server, validation)?;
        Ok(Self { resolvers, directory: ArcSwap::from_pointee(directory), reach })
    }

    /// Goes on with another directory of RAIDAs.
    pub(crate) fn set_directory(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
    }

    /// Looks everything up again from here on, whatever its time to live.
    pub(crate) fn look_again(&self) {
        self.resolvers.clear();
    }

    /// Finds the Content Server of `domain`. Has no deadline of its own: look-ups can outlive the
    /// resolver's, so the caller sets one around everything.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn discover(&self, domain: &Domain) -> Result<Discovered, DiscoveryError> {
        let name = format!("_rke._udp.{domain}.");
        let look_up = async |record| self.resolvers.look_up(&name, &[record]).await;
        let (srv, txt) = tokio::try_join!(look_up(RecordType::SRV), look_up(RecordType::TXT))?;
        let targets = srv.iter().filter_map(|data| match data {
            RData::SRV(srv) if !srv.target.is_root() => Some(srv),
            _ => None,
        });
        let best = targets.min_by_key(|srv| (srv.priority, u16::MAX - srv.weight));
        let best = best.ok_or_else(|| DiscoveryError::NoTarget(name.clone()))?;
        let texts: Vec<String> = txt.iter().filter_map(joined_text).collect();
        let sets =
            Records::parse(texts.iter().map(String::as_str)).key_sets(&self.directory.load(), self.reach);
        Ok(Discovered {
            target_host: best.target.to_ascii().trim_end_matches('.').to_owned(),
            target_port: best.port,
            sets,
        })
    }

    /// The addresses of the host that an SRV record names, those of IPv6 first.
    ///
    /// # Errors
    /// [`DiscoveryError`], where there is no address of either kind.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DiscoveryError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.within_reach(host, port, [address]);
        }
        let name = format!("{host}.");
        let found = self.resolvers.look_up(&name, &[RecordType::AAAA, RecordType::A]).await?;
        self.within_reach(host, port, found.iter().filter_map(RData::ip_addr))
    }

    /// Those of a Content Server's addresses that may be asked.
    fn within_reach(
        &self,
        host: &str,
        port: u16,
        found: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Vec<SocketAddr>, DiscoveryError> {
        let (mut usable, mut first) = (Vec::new(), None);
        for address in found.into_iter().map(|address| SocketAddr::new(address, port)) {
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

/// How far addresses may lie: everywhere where the operator has said so, or asks a DNS server on this machine, which is
/// their own. A resolver of the system that listens there, such as systemd-resolved, is none of that kind.
pub fn reach(dns_server: Option<SocketAddr>, allow_private_raidas: bool) -> Reach {
    match allow_private_raidas || dns_server.is_some_and(|server| server.ip().to_canonical().is_loopback()) {
        true => Reach::Everywhere,
        false => Reach::Public,
    }
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
