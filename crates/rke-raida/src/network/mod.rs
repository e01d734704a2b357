//! A complete network on one machine: coins, 25 nodes, a Content Server that has preloaded them, and the DNS records
//! that name them. Built from the same parts as a real network.

mod error;
mod nodes;
#[cfg(feature = "public-servers")]
mod public_servers;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_host::data_dir::{Role, claim};
use rke_host::session_keys::SessionKeys;
use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::directory::Directory;
use rke_proto::{ContentServerId, Form, KeySetId, RAIDA_COUNT, RaidaIndex};

pub use self::error::NetworkError;
use self::nodes::start_nodes;
use crate::content_server::{
    Application, ContentServer, ContentServerError, DnsRecords, KeyRing, MasterSecrets, PreloadReport,
    ServerConfig,
};
use crate::dns::DnsServer;
use crate::mint::{make_wallet, mint};
use crate::node::Node;

const PRELOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How many times a Content Server is restarted at an address that is still in use, and how long to wait in between.
const RESTARTS: usize = 50;
const BETWEEN_RESTARTS: Duration = Duration::from_millis(20);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The user's coins: two in Bank, and one in Fracked that half of the RAIDAs do not know.
const USER_COINS: [u32; 3] = [1001, 1002, 1003];
/// The Content Server's coins. The first is named for its ID, so no other coin may preload that; both may preload
/// free IDs.
const PRELOADERS: [u32; 2] = [42, 43];
/// The coin of another operator, who may preload free IDs.
const OTHER_PRELOADER: u32 = 44;

/// The configuration of a local network.
#[derive(Debug, Clone)]
pub struct LocalNetworkConfig {
    /// The folder for wallets, directory file and node data. Existing coins are used again.
    pub dir: PathBuf,
    /// The Content Server's domain.
    pub domain: String,
    /// The Content Server's ID.
    pub cs_id: ContentServerId,
    /// UDP port of RAIDA 0; RAIDA i listens on the i-th port after it. 0 takes any free ones.
    pub first_raida_port: u16,
    /// UDP and TCP port of the DNS server; 0 takes any free one.
    pub dns_port: u16,
    /// TCP port of the Content Server; 0 takes any free one.
    pub content_server_port: u16,
}

/// A running local network.
pub struct LocalNetwork {
    config: LocalNetworkConfig,
    wallet: PathBuf,
    directory: Directory,
    directory_file: PathBuf,
    addresses: Vec<SocketAddr>,
    nodes: Vec<Option<Node>>,
    master_secrets: Arc<MasterSecrets>,
    /// The configuration for a restart of the Content Server, at the same address.
    server_config: ServerConfig,
    /// `None` while it is stopped.
    content_server: Option<ContentServer>,
    records: DnsRecords,
    dns: DnsServer,
}

impl LocalNetworkConfig {
    fn wallet(&self) -> PathBuf {
        self.dir.join("wallet")
    }

    fn server_wallet(&self) -> PathBuf {
        self.dir.join("content-server/wallet")
    }

    fn other_wallet(&self) -> PathBuf {
        self.dir.join("other-operator/wallet")
    }

    fn key_ring(&self) -> Result<KeyRing, ContentServerError> {
        KeyRing::open(self.cs_id, &self.server_data_dir())
    }

    fn server_data_dir(&self) -> PathBuf {
        self.dir.join("content-server/data")
    }

    fn files(&self, source: io::Error) -> NetworkError {
        NetworkError::Files { path: self.dir.clone(), source }
    }

    /// Fills in what all Content Servers of this network have in common: their address, and the only domain that they
    /// serve.
    fn serve(&self, server: ServerConfig, port: u16) -> ServerConfig {
        let mut rules = server.rules;
        if rules.domains.is_empty() {
            rules.domains = vec![self.domain.trim_end_matches('.').to_ascii_lowercase()];
        }
        ServerConfig { listen: SocketAddr::new(LOOPBACK, port), rules, ..server }
    }
}

impl LocalNetwork {
    /// Starts everything, with a Content Server that echoes; when this returns, the nodes hold its master secrets.
    ///
    /// # Errors
    /// [`NetworkError`]; then nothing is left running.
    pub async fn start(config: LocalNetworkConfig) -> Result<Self, NetworkError> {
        Self::start_with(config, ServerConfig::new(Application::Echo)).await
    }

    /// The same with another Content Server: another application, other limits. It listens at the port of the
    /// network's configuration, and serves only the network's domain unless its own configuration names others.
    ///
    /// # Errors
    /// [`NetworkError`]; then nothing is left running.
    pub async fn start_with(config: LocalNetworkConfig, server: ServerConfig) -> Result<Self, NetworkError> {
        Self::start_among(config, server, &[]).await
    }

    /// The same, with the records of other Content Servers in its DNS. All hosts are this machine.
    ///
    /// # Errors
    /// [`NetworkError`]; then nothing is left running.
    pub async fn start_among(
        config: LocalNetworkConfig,
        server: ServerConfig,
        others: &[DnsRecords],
    ) -> Result<Self, NetworkError> {
        claim(&config.dir, Role::LocalNetwork)?;
        make_coins(&config).map_err(|error| config.files(error))?;
        let nodes = start_nodes(&config).await?;
        let addresses: Vec<SocketAddr> = nodes.iter().map(Node::address).collect();
        let directory = Directory::new(addresses.iter().copied().zip(RaidaIndex::all()).collect());
        let directory_file = config.dir.join("raida-directory.txt");
        std::fs::write(&directory_file, directory_text(&directory)).map_err(|error| config.files(error))?;
        let mut keys = config.key_ring()?;
        let wide = (key_set(1), Form::Wide);
        let master_secrets = make_key_set(&mut keys, wide, &directory, &config.server_wallet()).await?;
        let server_config = config.serve(server, config.content_server_port);
        let content_server = ContentServer::start(server_config.clone(), keys).await?;
        let server_config = config.serve(server_config, content_server.address().port());
        let (host, port) = (format!("cs.{}", config.domain), content_server.address().port());
        let records = master_secrets.records(Form::Wide, &config.domain, (&host, port), &directory);
        let listen = SocketAddr::new(LOOPBACK, config.dns_port);
        let dns = DnsServer::start(listen, std::iter::once(&records).chain(others), LOOPBACK).await?;
        let (nodes, content_server) = (nodes.into_iter().map(Some).collect(), Some(content_server));
        let wallet = config.wallet();
        Ok(Self {
            config,
            wallet,
            directory,
            directory_file,
            addresses,
            nodes,
            master_secrets,
            server_config,
            content_server,
            records,
            dns,
        })
    }

    /// The user's wallet.
    pub fn wallet(&self) -> &Path {
        &self.wallet
    }

    /// The Content Server's wallet, whose coins may preload.
    pub fn server_wallet(&self) -> PathBuf {
        self.config.server_wallet()
    }

    /// The wallet of another operator, whose coin may preload any free ID but not the Content Server's.
    pub fn other_wallet(&self) -> PathBuf {
        self.config.other_wallet()
    }

    /// The RAIDA directory of these nodes.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The directory's file.
    pub fn directory_file(&self) -> &Path {
        &self.directory_file
    }

    /// The address of the DNS server.
    pub fn dns_address(&self) -> SocketAddr {
        self.dns.address()
    }

    /// The addresses of the nodes, RAIDA 0 first.
    pub fn node_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The Content Server's master secrets.
    pub fn master_secrets(&self) -> &MasterSecrets {
        &self.master_secrets
    }

    /// The TCP address of the Content Server, also while it is stopped.
    pub fn content_server_address(&self) -> SocketAddr {
        self.server_config.listen
    }

    /// The number of session keys that the Content Server stores.
    pub fn content_server_keys(&self) -> usize {
        self.content_server.as_ref().map_or(0, ContentServer::keys)
    }

    /// The keys of the Content Server's sessions, for the application behind it. `None` while it is stopped.
    pub fn session_keys(&self) -> Option<Arc<dyn SessionKeys>> {
        self.content_server.as_ref().map(ContentServer::session_keys)
    }

    /// The data folder of the Content Server.
    pub fn server_data_dir(&self) -> PathBuf {
        self.config.server_data_dir()
    }

    /// The Content Server's DNS records.
    pub fn records(&self) -> &DnsRecords {
        &self.records
    }

    /// Stops one node, as if its machine had failed.
    pub async fn stop_node(&mut self, raida: RaidaIndex) {
        if let Some(node) = self.nodes[raida.position()].take() {
            node.stop().await;
        }
    }

    /// Stops the Content Server, which wipes its keys.
    pub async fn stop_content_server(&mut self) {
        if let Some(server) = self.content_server.take() {
            server.stop().await;
        }
    }

    /// Restarts the Content Server, at the same address and without its keys.
    ///
    /// # Errors
    /// [`NetworkError`]; then it is stopped.
    pub async fn restart_content_server(&mut self) -> Result<(), NetworkError> {
        self.stop_content_server().await;
        let start =
            async || Ok(ContentServer::start(self.server_config.clone(), self.config.key_ring()?).await?);
        let is_in_use = |error: &NetworkError| matches!(error, NetworkError::ContentServer(error) if error.is_address_in_use());
        self.content_server = Some(start_again(start, is_in_use).await?);
        Ok(())
    }

    /// Starts another Content Server in place of the current one, as in [`LocalNetwork::start_with`].
    ///
    /// # Errors
    /// [`NetworkError`]; then none is running.
    pub async fn restart_content_server_with(&mut self, server: ServerConfig) -> Result<(), NetworkError> {
        self.server_config = self.config.serve(server, self.server_config.listen.port());
        self.restart_content_server().await
    }

    /// Makes k2 for live sessions, as in [`LocalNetwork::add_key_set`].
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn add_narrow_key_set(&mut self) -> Result<DnsRecords, NetworkError> {
        self.add_key_set(key_set(2), Form::Live).await
    }

    /// Makes a key set of narrow shares next to the one of wide shares, and restarts the Content Server so that it
    /// serves both. Returns the records that name only the new key set.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn add_key_set(&mut self, number: KeySetId, form: Form) -> Result<DnsRecords, NetworkError> {
        let mut keys = self.config.key_ring()?;
        let secrets = make_key_set(&mut keys, (number, form), &self.directory, &self.server_wallet()).await?;
        drop(keys);
        self.server_config.rules.allow_narrow = true;
        self.restart_content_server().await?;
        let DnsRecords { domain, host, port, .. } = &self.records;
        Ok(secrets.records(form, domain, (host, *port), &self.directory))
    }

    /// Stops everything.
    pub async fn stop(mut self) {
        self.stop_content_server().await;
        for node in self.nodes.into_iter().flatten() {
            node.stop().await;
        }
        self.dns.stop().await;
    }
}

fn key_set(number: u8) -> KeySetId {
    KeySetId::new(number).unwrap_or_else(|| unreachable!("{number} is a key set"))
}

/// Makes a key set and preloads it to all nodes.
async fn make_key_set(
    keys: &mut KeyRing,
    (number, form): (KeySetId, Form),
    directory: &Directory,
    wallet: &Path,
) -> Result<Arc<MasterSecrets>, NetworkError> {
    let secrets = keys.open_or_make(number, form)?;
    let PreloadReport { done, faults } = keys.preload(&secrets, directory, wallet, PRELOAD_TIMEOUT).await?;
    if let Some((raida, fault)) = faults.first() {
        return Err(NetworkError::Preload { raida: *raida, fault: *fault });
    }
    keys.note_preloaded(number, done, crate::clock::unix_seconds())?;
    Ok(secrets)
}

/// Restarts a server, and waits while the error may go away: a process that this one is just starting has a copy of
/// its listener, and of the lock of its data directory, until its program runs.
async fn start_again<T>(
    mut start: impl AsyncFnMut() -> Result<T, NetworkError>,
    is_worth_a_wait: impl Fn(&NetworkError) -> bool,
) -> Result<T, NetworkError> {
    let mut waits = std::iter::repeat_n(BETWEEN_RESTARTS, RESTARTS);
    loop {
        match (start().await, waits.next()) {
            (Err(error), Some(wait)) if is_worth_a_wait(&error) => tokio::time::sleep(wait).await,
            (started, _) => return started,
        }
    }
}

fn make_coins(config: &LocalNetworkConfig) -> io::Result<()> {
    let (wallet, server, other) = (config.wallet(), config.server_wallet(), config.other_wallet());
    for wallet in [&wallet, &server, &other] {
        make_wallet(wallet)?;
    }
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
        (server.join("Bank/coins.bin"), PRELOADERS.map(coin).to_vec(), everywhere),
        (other.join("Bank/coin.bin"), vec![coin(OTHER_PRELOADER)], everywhere),
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

fn directory_text(directory: &Directory) -> String {
    directory.entries().iter().map(|(endpoint, raida)| format!("{endpoint} {raida}\n")).collect()
}
