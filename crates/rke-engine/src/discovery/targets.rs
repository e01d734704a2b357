//! The order in which a Content Server's targets are tried, and their addresses as they are found. RFC 2782, RFC 8305.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use tokio::time::{Instant, timeout_at};

use super::DiscoveryError;
use crate::model::server_name::ServerName;

/// Targets of one domain, and addresses of one target, that are tried. DNS may name any number.
const MAX_TARGETS: usize = 8;
const MAX_ADDRESSES: usize = 8;

/// How long a target whose look-up takes its time keeps its place before those that are there already.
const KEEPS_ITS_PLACE: Duration = Duration::from_secs(1);

/// What an SRV record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The lowest is tried first.
    pub priority: u16,
    /// Its share of the clients, among those of its priority.
    pub weight: u16,
    /// Where it is.
    pub server: ServerName,
}

/// All targets of SRV records, in the order in which they are shown: that of most clients first.
pub(super) fn of_records(records: &[RData]) -> Vec<Target> {
    let target = |srv: &SRV| Target {
        priority: srv.priority,
        weight: srv.weight,
        server: ServerName {
            host: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
            port: srv.port,
        },
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

/// The order in which one client tries targets: by priority, and by chance as the weights say. `draw` gives a number
/// from 0 up to and including its argument.
pub(super) fn in_turn(mut targets: Vec<Target>, mut draw: impl FnMut(u32) -> u32) -> Vec<ServerName> {
    // Where the weights of all are zero, or the sum falls on none, the first is taken: those of no weight.
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

/// Addresses of each kind in turn, those of IPv6 first: where one kind does not work, no more than one is tried in vain.
pub(super) fn mixed(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (six, four): (VecDeque<_>, VecDeque<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let mut kinds = [six, four];
    let mut mixed = Vec::new();
    while kinds.iter().any(|kind| !kind.is_empty()) {
        mixed.extend(kinds.iter_mut().filter_map(VecDeque::pop_front));
    }
    mixed.dedup();
    mixed.truncate(MAX_ADDRESSES);
    mixed
}

/// Where a Content Server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What the SRV record says.
    pub server: ServerName,
    /// One of its addresses.
    pub address: SocketAddr,
}

/// The addresses of one target, or why there are none.
pub(crate) type Addresses = Result<Vec<SocketAddr>, DiscoveryError>;

/// The addresses of some targets, which are looked up all at once and come out in the order of the targets.
pub(crate) struct Candidates<'a> {
    servers: Vec<ServerName>,
    looked_up: FuturesUnordered<BoxFuture<'a, (usize, Addresses)>>,
    found: BTreeMap<usize, Addresses>,
    /// The target that is expected next.
    next: usize,
    /// Until when it keeps its place.
    patience: Instant,
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
        let patience = Instant::now() + KEEPS_ITS_PLACE;
        Self { servers, looked_up, found: BTreeMap::new(), next: 0, patience, ready: VecDeque::new() }
    }

    /// The next address, or the failure of a target that has none; `None` after the last. Nothing is lost where this is
    /// dropped.
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
            let is_late = Instant::now() >= self.patience;
            if let Some(first) = self.found.first_entry()
                && (is_late || self.looked_up.is_empty() || *first.key() <= self.next)
            {
                self.next = self.next.max(first.key() + 1);
                return Some(first.remove_entry());
            }
            let one_more = self.looked_up.next();
            let done = match self.found.is_empty() || is_late {
                true => one_more.await,
                false => match timeout_at(self.patience, one_more).await {
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
mod tests {
    use hickory_resolver::proto::rr::Name;
    use tokio::sync::Notify;

    use super::*;

    fn target(priority: u16, weight: u16, host: &str) -> Target {
        Target { priority, weight, server: ServerName { host: host.into(), port: 443 } }
    }

    fn hosts(servers: Vec<ServerName>) -> String {
        servers.into_iter().map(|server| server.host).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn targets_are_shown_in_one_order_and_a_dot_is_none() {
        let srv = |priority, weight, host: &str| {
            RData::SRV(SRV::new(priority, weight, 443, Name::from_ascii(host).expect("a name")))
        };
        let records = [srv(5, 0, "."), srv(2, 1, "c."), srv(1, 1, "B_x."), srv(1, 9, "a."), srv(1, 9, "A.")];
        let shown = of_records(&records).into_iter().map(|target| target.server).collect();
        assert_eq!(hosts(shown), "a b_x c");
        assert!(of_records(&records[..1]).is_empty());
    }

    #[test]
    fn weights_decide_within_a_priority_and_never_across() {
        let targets = || {
            vec![target(2, 9, "last"), target(1, 0, "none"), target(1, 10, "ten"), target(1, 30, "thirty")]
        };
        assert_eq!(hosts(in_turn(targets(), |_| 0)), "none ten thirty last");
        assert_eq!(hosts(in_turn(targets(), |sum| sum)), "thirty ten none last");
        assert_eq!(hosts(in_turn(targets(), |sum| sum.min(10))), "ten thirty none last");
        let many = (0..20).map(|at| target(at, 0, "many")).collect();
        assert_eq!(in_turn(many, |_| 0).len(), MAX_TARGETS);
    }

    #[test]
    fn the_kinds_of_addresses_take_turns() {
        let found = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3"];
        let found = found.map(|text| text.parse::<IpAddr>().expect("an address"));
        let shown: Vec<String> = mixed(found).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]);
    }

    /// What comes out. What "slow" waits for happens when three are out.
    async fn all(mut candidates: Candidates<'_>, slow: &Notify) -> String {
        let mut all = Vec::new();
        while let Some(next) = candidates.next().await {
            all.push(match next {
                Ok(Candidate { server, address }) => format!("{}={}", server.host, address.port()),
                Err((server, _)) => format!("{}!", server.host),
            });
            if all.len() == 3 {
                slow.notify_waiters();
            }
        }
        all.join(" ")
    }

    #[tokio::test]
    async fn addresses_come_in_the_order_of_targets_except_those_of_slow_look_ups() {
        let slow = &Notify::new();
        let look_up = async |server: ServerName| {
            let ports: &[u16] = match server.host.as_str() {
                "quick" => &[1, 2],
                "later" => {
                    tokio::task::yield_now().await;
                    &[3]
                }
                "slow" => {
                    slow.notified().await;
                    &[4]
                }
                _ => return Err(DiscoveryError::NoAddress(server.host)),
            };
            Ok(ports.iter().map(|port| SocketAddr::from(([192, 0, 2, 1], *port))).collect())
        };
        for (hosts, expected) in [
            (&["later", "none", "quick"][..], "later=3 none! quick=1 quick=2"),
            (&["slow", "quick", "later"], "quick=1 quick=2 later=3 slow=4"),
            (&[], ""),
        ] {
            let servers = hosts.iter().map(|host| ServerName { host: (*host).into(), port: 443 }).collect();
            assert_eq!(all(Candidates::new(servers, look_up), slow).await, expected);
        }
    }
}
