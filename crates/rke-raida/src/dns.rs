//! An authoritative DNS server for a local network, UDP and TCP on one port. A response that does not fit into UDP is
//! truncated, and resolvers repeat the query over TCP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::ProtoError;
use hickory_server::proto::rr::rdata::{A, AAAA, NS, SOA, SRV, TXT};
use hickory_server::proto::rr::{LowerName, Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use rke_proto::records::SERVICE;
use tokio::net::{TcpListener, UdpSocket};

use crate::content_server::DnsRecords;

const TTL_SECONDS: u32 = 60;
const SERIAL: u32 = 1;
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const TCP_BUFFER: usize = 16;

/// Attempts to find a port that is free for both UDP and TCP.
const PORT_TRIES: usize = 16;

/// Why the DNS server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The address cannot be used.
    #[error("the DNS server cannot listen on {address}: {source}; choose another address with --listen")]
    Bind { address: SocketAddr, source: io::Error },
    /// A record has an invalid name.
    #[error("the DNS records cannot be served: {0}")]
    Record(#[from] ProtoError),
}

/// A running DNS server. Dropping it stops it.
pub struct DnsServer {
    address: SocketAddr,
    server: Server<Catalog>,
}

impl DnsServer {
    /// Serves the records of Content Servers, one set for each domain; their hosts resolve to the address `host`.
    /// Port 0 takes a port that is free for both UDP and TCP.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn start(
        listen: SocketAddr,
        records: impl IntoIterator<Item = &DnsRecords>,
        host: IpAddr,
    ) -> Result<Self, DnsError> {
        Self::start_for_several(listen, records, &[host]).await
    }

    /// The same with hosts that have all of these addresses.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn start_for_several(
        listen: SocketAddr,
        records: impl IntoIterator<Item = &DnsRecords>,
        addresses: &[IpAddr],
    ) -> Result<Self, DnsError> {
        let (udp, tcp) = bind(listen).await.map_err(|source| DnsError::Bind { address: listen, source })?;
        let address = udp.local_addr().map_err(|source| DnsError::Bind { address: listen, source })?;
        let mut catalog = Catalog::new();
        for records in records {
            let origin = Name::from_str(&records.domain)?.append_domain(&Name::root())?;
            let target = Name::from_str(&records.host)?.append_domain(&Name::root())?;
            if !origin.zone_of(&target) {
                catalog.upsert(LowerName::new(&target), vec![Arc::new(zone(&target, addresses)?)]);
            }
            let zone = zone_of_service(&origin, (&target, records), addresses)?;
            catalog.upsert(LowerName::new(&origin), vec![Arc::new(zone)]);
        }
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_TIMEOUT, TCP_BUFFER);
        Ok(Self { address, server })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::warn!(%error, "the DNS server did not stop cleanly");
        }
    }
}

async fn bind(listen: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    for _ in 1..PORT_TRIES {
        let tcp = TcpListener::bind(listen).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if listen.port() != 0 => return Err(error),
            Err(_) => (),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// A zone for a host.
fn zone(origin: &Name, addresses: &[IpAddr]) -> Result<InMemoryZoneHandler, ProtoError> {
    let mut zone = InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let name_server = Name::from_str("ns")?.append_domain(origin)?;
    let mailbox = Name::from_str("hostmaster")?.append_domain(origin)?;
    let soa = SOA::new(name_server.clone(), mailbox, SERIAL, 3600, 600, 86400, TTL_SECONDS);
    add(&mut zone, origin, RData::SOA(soa));
    add(&mut zone, origin, RData::NS(NS(name_server.clone())));
    for name in [origin, &name_server] {
        add_addresses(&mut zone, name, addresses);
    }
    Ok(zone)
}

/// A zone for a Content Server's domain, with the host that its SRV record names, where that is in it.
fn zone_of_service(
    origin: &Name,
    (target, records): (&Name, &DnsRecords),
    addresses: &[IpAddr],
) -> Result<InMemoryZoneHandler, ProtoError> {
    let mut zone = zone(origin, addresses)?;
    if origin.zone_of(target) {
        add_addresses(&mut zone, target, addresses);
    }
    let service = Name::from_str(SERVICE)?.append_domain(origin)?;
    add(&mut zone, &service, RData::SRV(SRV::new(0, 0, records.port, target.clone())));
    for text in &records.texts {
        add(&mut zone, &service, RData::TXT(TXT::new(vec![text.clone()])));
    }
    Ok(zone)
}

fn add(zone: &mut InMemoryZoneHandler, name: &Name, data: RData) {
    zone.upsert_mut(Record::from_rdata(name.clone(), TTL_SECONDS, data), SERIAL);
}

fn add_addresses(zone: &mut InMemoryZoneHandler, name: &Name, addresses: &[IpAddr]) {
    for address in addresses {
        let data = match *address {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        add(zone, name, data);
    }
}
