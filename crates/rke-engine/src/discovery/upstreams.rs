//! The DNS servers that are asked one after the other: the next one when a server fails or stays silent. Servers that
//! failed recently are asked last, and a response always wins over an error.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt, once};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::DnsHandle;
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Message, ResponseCode};
use hickory_resolver::proto::rr::RecordType;
use rke_host::until::wait_until;
use tokio::time::{Instant, sleep_until};

use super::error::{ServerFault, Unanswered};
use super::query::{Edns, Had, ask};
use super::system::{Watched, dns_servers};
use crate::model::clock::Moment;

/// How long a server that failed is asked last.
const MISTRUST: Duration = Duration::from_secs(60);

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The DNS servers that are asked.
#[derive(Clone)]
pub(super) struct Upstreams(Arc<Inner>);

struct Inner {
    system: Option<Watched<Vec<SocketAddr>>>,
    servers: Mutex<Arc<[Server]>>,
    pace: Pace,
}

/// How long to wait for servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long a server may stay silent before the next is asked too. It may still respond.
    pub(super) head_start: Duration,
    /// How long all servers have together. This leaves some of the five seconds of an exchange.
    pub(super) timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { head_start: Duration::from_millis(600), timeout: Duration::from_secs(4) }
    }
}

/// A server, and what is known about it.
struct Server {
    address: SocketAddr,
    refuses_edns: AtomicBool,
    failed_at: Mutex<Option<Moment>>,
}

/// Servers that were asked and have not responded yet, with the time when they were asked.
#[derive(Default)]
struct Silent<'a>(Vec<(&'a Server, Instant)>);

impl Upstreams {
    /// The server that the operator names, or those of the system.
    pub(super) fn new(dns_server: Option<SocketAddr>) -> Self {
        let system = dns_server.is_none().then(|| Watched::new(Path::new(RESOLV_CONF), dns_servers));
        let addresses = dns_server.map_or_else(Vec::new, |server| vec![server]);
        let (servers, pace) = (Mutex::new(servers(&addresses)), Pace::default());
        let upstreams = Self(Arc::new(Inner { system, servers, pace }));
        upstreams.refresh();
        upstreams
    }

    /// These servers, whatever the system is configured to use.
    #[cfg(test)]
    pub(super) fn of(addresses: &[SocketAddr], pace: Pace) -> Self {
        Self(Arc::new(Inner { system: None, servers: Mutex::new(servers(addresses)), pace }))
    }

    /// Takes over the system's servers if they have changed, and returns whether they have.
    pub(super) fn refresh(&self) -> bool {
        let Some(system) = &self.0.system else { return false };
        let wanted = system.current();
        let mut known = self.0.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = !known.iter().map(|server| &server.address).eq(wanted.iter());
        if changed {
            *known = servers(&wanted);
        }
        changed
    }

    /// The response of the first server that knows something about the name.
    pub(super) async fn ask(&self, request: &Message) -> Result<DnsResponse, Unanswered> {
        let servers = Arc::clone(&self.0.servers.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut waiting, Pace { head_start, timeout }) = (in_turn(&servers), self.0.pace);
        let (mut running, mut silent) = (FuturesUnordered::new(), Silent::default());
        let (mut faults, mut negative) = (Vec::new(), None);
        let (mut next_at, mut deadline) = (Instant::now(), Instant::now() + timeout);
        while !(running.is_empty() && waiting.is_empty()) {
            tokio::select! {
                Some((server, result)) = running.next() => {
                    silent.remove(server);
                    next_at = Instant::now();
                    match result {
                        Ok(response) if settles(request, &response) => {
                            silent.note(head_start);
                            return Ok(response);
                        }
                        Ok(response) => {
                            // Another server may know better: some networks have their own names.
                            negative.get_or_insert(response);
                            waiting.retain(|server| !server.failed_lately());
                            deadline = deadline.min(next_at + head_start);
                        }
                        Err(fault) => {
                            server.failed();
                            faults.push((server.address, fault));
                        }
                    }
                }
                () = wait_until(next_at), if !waiting.is_empty() => {
                    next_at = Instant::now() + head_start;
                    if let Some(server) = waiting.pop_front() {
                        silent.0.push((server, Instant::now()));
                        running.push(async move { (server, server.ask(request).await) });
                    }
                }
                () = sleep_until(deadline) => break,
            }
        }
        silent.note(head_start);
        let silent = silent.0.iter().map(|(server, _)| (server.address, ServerFault::Silent));
        negative.ok_or_else(|| Unanswered(faults.into_iter().chain(silent).collect()))
    }
}

fn servers(addresses: &[SocketAddr]) -> Arc<[Server]> {
    let server = |address: &SocketAddr| Server {
        address: *address,
        refuses_edns: AtomicBool::new(false),
        failed_at: Mutex::new(None),
    };
    addresses.iter().map(server).collect()
}

/// In the order of the file, except that servers that failed recently come last.
fn in_turn(servers: &[Server]) -> VecDeque<&Server> {
    let (failed, well): (Vec<_>, Vec<_>) = servers.iter().partition(|server| server.failed_lately());
    well.into_iter().chain(failed).collect()
}

/// Whether no other server has to be asked. It is normal that a host has addresses of one kind only. But a server
/// that knows only its own network may report that a name does not exist, or has no records of a service.
fn settles(request: &Message, response: &DnsResponse) -> bool {
    let addresses = [RecordType::A, RecordType::AAAA];
    let is_ordinary = request.queries.iter().any(|query| addresses.contains(&query.query_type()));
    response.response_code == ResponseCode::NoError && (!response.answers.is_empty() || is_ordinary)
}

impl Silent<'_> {
    fn remove(&mut self, server: &Server) {
        self.0.retain(|(silent, _)| !ptr::eq(*silent, server));
    }

    /// Marks the servers as failed that have been silent for long.
    fn note(&self, head_start: Duration) {
        let long = self.0.iter().filter(|(_, asked_at)| asked_at.elapsed() >= head_start);
        long.for_each(|(server, _)| server.failed());
    }
}

impl Server {
    async fn ask(&self, request: &Message) -> Result<DnsResponse, ServerFault> {
        let edns = if self.refuses_edns.load(Ordering::Relaxed) { Edns::Without } else { Edns::With };
        let Had { response, refuses_edns } = ask(self.address, request, edns).await?;
        if refuses_edns {
            self.refuses_edns.store(true, Ordering::Relaxed);
        }
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(response)
    }

    fn failed(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::now());
    }

    fn failed_lately(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| Moment::now().since(at) < MISTRUST)
    }
}

/// The DNSSEC validator sends its requests through this.
impl DnsHandle for Upstreams {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let upstreams = self.clone();
        Box::pin(once(async move { upstreams.ask(&request).await.map_err(Unanswered::into_net_error) }))
    }
}
