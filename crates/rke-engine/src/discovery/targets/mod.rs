//! The order in which a Content Server's targets are tried, and how their addresses are found. RFC 2782, RFC 8305.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use tokio::time::{Instant, timeout_at};

use super::DiscoveryError;
use crate::model::server_name::ServerName;

/// The most targets of one domain, and the most addresses of one target, that are tried. DNS may name any number.
const MAX_TARGETS: usize = 8;
const MAX_ADDRESSES: usize = 8;

/// How long a target with a slow look-up keeps its place ahead of targets that are ready.
const KEEPS_ITS_PLACE: Duration = Duration::from_secs(1);

/// What an SRV record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The target with the lowest priority is tried first.
    pub priority: u16,
    /// Its share of the clients, among the targets of its priority.
    pub weight: u16,
    /// Where it is.
    pub server: ServerName,
}

/// All targets of SRV records, in the order in which they are shown: those with the most clients first.
pub(super) fn of_records(records: &[RData]) -> Vec<Target> {
    let target = |srv: &SRV| Target {
        priority: srv.priority,
        weight: srv.weight,
        server: ServerName { host: host(srv), port: srv.port },
    };
    let named = records.iter().filter_map(|data| match data {
        RData::SRV(srv) if !srv.target.is_root() => Some(target(srv)),
        _ => None,
    });
    let mut targets: Vec<Target> = named.collect();
    let order = |target: &Target| {
        (target.priority, Reverse(target.weight), target.server.host.clone(), target.server.port)
    };
    targets.sort_by_cached_key(order);
    targets.dedup();
    targets
}

/// The name without the final dot. A dot inside a label is escaped, so it is not stripped.
fn host(srv: &SRV) -> String {
    let name = srv.target.to_ascii().to_ascii_lowercase();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

/// The order in which one client tries targets: by priority, then at random according to the weights. `draw` returns
/// a number from 0 to its argument, inclusive.
pub(super) fn in_turn(mut targets: Vec<Target>, mut draw: impl FnMut(u32) -> u32) -> Vec<ServerName> {
    // Targets without weight come first: the first one is taken if all weights are zero, or if the number falls on
    // none.
    targets.sort_by_key(|target| (target.priority, target.weight));
    let mut servers = Vec::new();
    while let Some(first) = targets.first() {
        let priority = first.priority;
        let equals = targets.iter().take_while(|target| target.priority == priority);
        let weights: Vec<u32> = equals.map(|target| target.weight.into()).collect();
        let mut rest = draw(weights.iter().sum());
        let falls_on = |weight: &u32| {
            let here = rest <= *weight;
            rest = rest.saturating_sub(*weight);
            here
        };
        let at = weights.iter().position(falls_on).unwrap_or(0);
        servers.push(targets.remove(at).server);
    }
    servers.truncate(MAX_TARGETS);
    servers
}

/// Alternates between IPv6 and IPv4 addresses, IPv6 first: if one kind does not work, at most one attempt is lost.
pub(super) fn mixed(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    // An address that is named twice takes one place.
    let mut named = HashSet::new();
    let addresses = addresses.into_iter().filter(|address| named.insert(*address));
    let (six, four): (VecDeque<_>, VecDeque<_>) = addresses.partition(IpAddr::is_ipv6);
    let mut kinds = [six, four];
    let mut mixed = Vec::new();
    while kinds.iter().any(|kind| !kind.is_empty()) {
        mixed.extend(kinds.iter_mut().filter_map(VecDeque::pop_front));
    }
    mixed.truncate(MAX_ADDRESSES);
    mixed
}

/// Where a Content Server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The target of the SRV record.
    pub server: ServerName,
    /// One of its addresses.
    pub address: SocketAddr,
}

/// The addresses of one target, or why it has none.
pub(crate) type Addresses = Result<Vec<SocketAddr>, DiscoveryError>;

/// The addresses of several targets. All are looked up at once, and returned in the order of the targets.
pub(crate) struct Candidates<'a> {
    servers: Vec<ServerName>,
    looked_up: FuturesUnordered<BoxFuture<'a, (usize, Addresses)>>,
    found: BTreeMap<usize, Addresses>,
    /// The target that is due next.
    next: usize,
    /// How long that target keeps its place.
    in_order_until: Instant,
    ready: VecDeque<Candidate>,
}

impl<'a> Candidates<'a> {
    /// The addresses that `look_up` finds.
    pub(crate) fn new<F: Future<Output = Addresses> + Send + 'a>(
        servers: Vec<ServerName>,
        look_up: impl Fn(ServerName) -> F,
    ) -> Self {
        let looked_up = FuturesUnordered::new();
        for (at, server) in servers.iter().enumerate() {
            let addresses = look_up(server.clone());
            let boxed: BoxFuture<'a, _> = Box::pin(async move { (at, addresses.await) });
            looked_up.push(boxed);
        }
        let in_order_until = Instant::now() + KEEPS_ITS_PLACE;
        Self { servers, looked_up, found: BTreeMap::new(), next: 0, in_order_until, ready: VecDeque::new() }
    }

    /// The next address, or the failure of a target that has none; `None` after the last. Dropping the future loses
    /// nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Candidate, (ServerName, DiscoveryError)>> {
        loop {
            if let Some(candidate) = self.ready.pop_front() {
                return Some(Ok(candidate));
            }
            let (at, addresses) = self.next_target().await?;
            let server = &self.servers[at];
            match addresses {
                Err(error) => return Some(Err((server.clone(), error))),
                Ok(addresses) => self.ready.extend(
                    addresses.into_iter().map(|address| Candidate { server: server.clone(), address }),
                ),
            }
        }
    }

    async fn next_target(&mut self) -> Option<(usize, Addresses)> {
        loop {
            let is_late = Instant::now() >= self.in_order_until;
            if let Some(first) = self.found.first_entry()
                && (is_late || self.looked_up.is_empty() || *first.key() <= self.next)
            {
                self.next = self.next.max(first.key() + 1);
                return Some(first.remove_entry());
            }
            let one_more = self.looked_up.next();
            let done = match self.found.is_empty() || is_late {
                true => one_more.await,
                false => match timeout_at(self.in_order_until, one_more).await {
                    Ok(done) => done,
                    Err(_) => continue,
                },
            };
            match done {
                Some((at, addresses)) => _ = self.found.insert(at, addresses),
                None if self.found.is_empty() => return None,
                None => (),
            }
        }
    }
}

#[cfg(test)]
mod tests;
