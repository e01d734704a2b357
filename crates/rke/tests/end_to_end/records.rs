//! A local network whose DNS says something else than the network's own: other endpoints, another
//! port for the Content Server, other lines.

use std::net::SocketAddr;

use rke_daemon::Daemon;
use rke_engine::settings::Config;
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;

use crate::support::{Answer, DOMAIN, config, get, network};

/// A network, its other DNS and a daemon that asks that.
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

    /// The same on a network that runs already.
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

    /// From now on DNS says this.
    pub(crate) async fn change_records(&mut self, records: &DnsRecords) {
        let address = self.dns.address();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let meanwhile = DnsServer::start(loopback, [records], loopback.ip()).await.expect("a DNS server");
        std::mem::replace(&mut self.dns, meanwhile).stop().await;
        let dns = DnsServer::start(address, [records], loopback.ip()).await.expect("a DNS server");
        std::mem::replace(&mut self.dns, dns).stop().await;
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        get(self.daemon.address(), target).await
    }

    /// Opens a session by a new exchange.
    pub(crate) async fn create(&self) -> Answer {
        let wallet = self.network.wallet().display();
        self.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}&fresh=true")).await
    }

    /// The session that an answer to `create` names, in detail.
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
