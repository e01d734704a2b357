//! A complete network on one machine: coins, 25 nodes, a Content Server that has preloaded them,
//! and the DNS that names them. Made of the same parts as the real thing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::directory::Directory;
use rke_proto::round::Fault;
use rke_proto::{ContentServerId, KeyId, RAIDA_COUNT, RaidaIndex};

use crate::content_server::{
    Application, ContentServer, ContentServerError, DnsRecords, KeyRing, MasterSecrets, ServerConfig,
    ServerError,
};
use crate::dns::{DnsError, DnsServer};
use crate::mint::{make_wallet, mint};
use crate::node::{Node, NodeConfig, NodeError};

const PRELOAD_TIMEOUT: Duration = Duration::from_secs(10);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The user's coins: two in Bank, and one in Fracked that half of the RAIDAs do not know.
const USER_COINS: [u32; 3] = [1001, 1002, 1003];
/// The Content Server's coins, which may preload.
const PRELOADERS: [u32; 2] = [42, 43];

/// What a local network is told.
pub struct LocalNetworkConfig {
    /// Where wallets, directory file and the nodes' data lie. Coins that are there are used again.
    pub dir: PathBuf,
    /// The Content Server's domain.
    pub domain: String,
    /// The Content Server's ID.
    pub cs_id: ContentServerId,
    /// UDP port of RAIDA 0; RAIDA i listens on the i-th after it. 0 takes any free ones.
    pub first_raida_port: u16,
    /// UDP and TCP port of the DNS server; 0 takes any free one.
    pub dns_port: u16,
    /// TCP port of the Content Server; 0 takes any free one.
    pub content_server_port: u16,
}

/// Why a local network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A node, a busy port for one.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The DNS server, a busy port for one.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The Content Server's key set.
    #[error(transparent)]
    Keys(#[from] ContentServerError),
    /// The Content Server, a busy port for one.
    #[error(transparent)]
    ContentServer(#[from] ServerError),
    /// The files.
    #[error("cannot prepare {path}: {source}")]
    Files {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The last node's port would be over 65535.
    #[error("25 nodes do not fit from port {0} on")]
    PortsTooHigh(u16),
    /// A node did not take its master secret.
    #[error("RAIDA {raida} did not take its master secret: {fault}")]
    Preload {
        /// Which.
        raida: RaidaIndex,
        /// Why.
        fault: Fault,
    },
}

/// A running local network.
pub struct LocalNetwork {
    wallet: PathBuf,
    directory_file: PathBuf,
    addresses: Vec<SocketAddr>,
    nodes: Vec<Option<Node>>,
    master_secrets: Arc<MasterSecrets>,
    content_server: ContentServer,
    records: DnsRecords,
    dns: DnsServer,
}

impl LocalNetwork {
    /// Starts everything; when this returns, the nodes hold the Content Server's master secrets.
    ///
    /// # Errors
    /// [`NetworkError`]; then nothing is left running.
    pub async fn start(config: LocalNetworkConfig) -> Result<Self, NetworkError> {
        let dir = config.dir.as_path();
        let (wallet, server_wallet) = (dir.join("wallet"), dir.join("content-server/wallet"));
        let files = |source| NetworkError::Files { path: dir.into(), source };
        make_coins(&wallet, &server_wallet).map_err(files)?;
        let nodes = start_nodes(&config, &[wallet.clone(), server_wallet.clone()]).await?;
        let addresses: Vec<SocketAddr> = nodes.iter().map(Node::address).collect();
        let directory = Directory::new(addresses.iter().copied().zip(RaidaIndex::all()).collect());
        let directory_file = dir.join("raida-directory.txt");
        std::fs::write(&directory_file, directory_text(&directory)).map_err(files)?;
        let key_id = KeyId::new(1).unwrap_or_else(|| unreachable!("1 is a key id"));
        let mut keys = KeyRing::open(config.cs_id, &dir.join("content-server/data"))?;
        let master_secrets = keys.open_or_make(key_id)?;
        let report = master_secrets.preload(&directory, &server_wallet, PRELOAD_TIMEOUT).await?;
        if let Some((raida, fault)) = report.faults.first().copied() {
            return Err(NetworkError::Preload { raida, fault });
        }
        keys.note_preloaded(key_id)?;
        let server = ServerConfig {
            listen: SocketAddr::new(LOOPBACK, config.content_server_port),
            ..ServerConfig::new(Application::Echo)
        };
        let content_server = ContentServer::start(server, keys).await?;
        let (host, port) = (format!("cs.{}", config.domain), content_server.address().port());
        let records = master_secrets.records(&config.domain, &host, port, &directory);
        let listen = SocketAddr::new(LOOPBACK, config.dns_port);
        let dns = DnsServer::start(listen, [&records], LOOPBACK).await?;
        let nodes = nodes.into_iter().map(Some).collect();
        Ok(Self { wallet, directory_file, addresses, nodes, master_secrets, content_server, records, dns })
    }

    /// The user's wallet.
    pub fn wallet(&self) -> &Path {
        &self.wallet
    }

    /// The RAIDA directory file of these nodes.
    pub fn directory_file(&self) -> &Path {
        &self.directory_file
    }

    /// Where the DNS server listens.
    pub fn dns_address(&self) -> SocketAddr {
        self.dns.address()
    }

    /// Where the nodes listen, RAIDA 0 first.
    pub fn node_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The Content Server's master secrets.
    pub fn master_secrets(&self) -> &MasterSecrets {
        &self.master_secrets
    }

    /// Where the Content Server listens (TCP): it echoes.
    pub fn content_server_address(&self) -> SocketAddr {
        self.content_server.address()
    }

    /// The Content Server's DNS records.
    pub fn records(&self) -> &DnsRecords {
        &self.records
    }

    /// Stops one node, as if its machine had gone.
    pub async fn stop_node(&mut self, raida: RaidaIndex) {
        if let Some(node) = self.nodes[raida.position()].take() {
            node.stop().await;
        }
    }

    /// Stops everything.
    pub async fn stop(self) {
        for node in self.nodes.into_iter().flatten() {
            node.stop().await;
        }
        self.content_server.stop().await;
        self.dns.stop().await;
    }
}

fn make_coins(wallet: &Path, server_wallet: &Path) -> io::Result<()> {
    make_wallet(wallet)?;
    make_wallet(server_wallet)?;
    let everywhere = [CoinStatus::Passed; RAIDA_COUNT];
    let fracked = std::array::from_fn(|raida| match raida % 2 {
        0 => CoinStatus::Passed,
        _ => CoinStatus::Unusable,
    });
    let [first, second, third] = USER_COINS.map(coin);
    let coins = [
        (wallet.join("Bank/coin-1.bin"), vec![first], everywhere),
        (wallet.join("Bank/coin-2.bin"), vec![second], everywhere),
        (wallet.join("Fracked/coin-3.bin"), vec![third], fracked),
        (server_wallet.join("Bank/coins.bin"), PRELOADERS.map(coin).to_vec(), everywhere),
    ];
    for (file, coins, statuses) in &coins {
        match mint(file, coins, *statuses) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            result => result?,
        }
    }
    Ok(())
}

fn coin(serial: u32) -> CoinId {
    CoinId { denomination: 0, serial }
}

async fn start_nodes(
    config: &LocalNetworkConfig,
    coin_folders: &[PathBuf],
) -> Result<Vec<Node>, NetworkError> {
    let mut nodes = Vec::with_capacity(RAIDA_COUNT);
    for raida in RaidaIndex::all() {
        let port = match config.first_raida_port {
            0 => 0,
            first => first.checked_add(raida.get().into()).ok_or(NetworkError::PortsTooHigh(first))?,
        };
        let node = Node::start(NodeConfig {
            raida,
            listen: SocketAddr::new(LOOPBACK, port),
            coin_folders: coin_folders.to_vec(),
            data_dir: config.dir.join(format!("raida-{raida:02}")),
            preloaders: PRELOADERS.map(coin).to_vec(),
        });
        nodes.push(node.await?);
    }
    Ok(nodes)
}

fn directory_text(directory: &Directory) -> String {
    directory.entries().iter().map(|(endpoint, raida)| format!("{endpoint} {raida}\n")).collect()
}
