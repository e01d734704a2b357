//! A local network with a DNS server whose records differ from the network's own: other endpoints, another port for
//! the Content Server, other lines.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rke_daemon::Daemon;
use rke_engine::settings::Config;
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;

use crate::support::{Answer, DOMAIN, PATIENCE, config, get, network};

/// A network, another DNS server, and a daemon that uses it.
pub(crate) struct Detour {
    pub(crate) network: LocalNetwork,
    pub(crate) daemon: Daemon,
    dns: DnsServer,
    _dir: tempfile::TempDir,
}

impl Detour {
    pub(crate) async fn new(
        records: impl AsyncFnOnce(&LocalNetwork, &tempfile::TempDir) -> DnsRecords,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = network(&dir).await;
        let records = records(&network, &dir).await;
        Self::on(dir, network, records, change).await
    }

    /// The same on a network that is already running.
    pub(crate) async fn on(
        dir: tempfile::TempDir,
        network: LocalNetwork,
        records: DnsRecords,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
        let mut config = config(&dir, dns.address());
        change(&mut config);
        let daemon = Daemon::start(config).await.expect("a daemon");
        Self { network, daemon, dns, _dir: dir }
    }

    /// Makes DNS serve these records from now on.
    pub(crate) async fn change_records(&mut self, records: &DnsRecords) {
        let address = self.dns.address();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let meanwhile = serve_records(loopback, records).await;
        std::mem::replace(&mut self.dns, meanwhile).stop().await;
        let dns = serve_records(address, records).await;
        std::mem::replace(&mut self.dns, dns).stop().await;
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        get(self.daemon.address(), target).await
    }

    /// Opens a session with a fresh exchange.
    pub(crate) async fn create(&self) -> Answer {
        let wallet = self.network.wallet().display();
        self.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}&fresh=true")).await
    }

    /// The details of the session that a response to `create` names.
    pub(crate) async fn show(&self, created: &Answer) -> serde_json::Value {
        assert_eq!(created.status, 200, "{}", created.body);
        let id = created.json()["session_id"].as_str().expect("an id").to_owned();
        self.get(&format!("/api/rke/session/{id}")).await.json()
    }

    pub(crate) async fn stop(self) {
        self.daemon.stop().await;
        self.dns.stop().await;
        self.network.stop().await;
    }
}

/// Starts a DNS server. A port that has just been released may not be free at once.
pub(crate) async fn serve_records(address: SocketAddr, records: &DnsRecords) -> DnsServer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match DnsServer::start(address, [records], Ipv4Addr::LOCALHOST.into()).await {
            Ok(server) => return server,
            Err(error) => assert!(Instant::now() < deadline, "no DNS server at {address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A network's own records with other endpoints, RAIDA 0 first.
pub(crate) fn with_endpoints(network: &LocalNetwork, endpoints: &[SocketAddr]) -> DnsRecords {
    moved(network, network.records().clone(), endpoints)
}

/// The same for any records of the network.
pub(crate) fn moved(network: &LocalNetwork, mut records: DnsRecords, endpoints: &[SocketAddr]) -> DnsRecords {
    for (own, other) in network.node_addresses().iter().zip(endpoints) {
        let (own, other) = (format!("{own} "), format!("{other} "));
        records.texts.iter_mut().for_each(|text| *text = text.replace(&own, &other));
    }
    records
}
