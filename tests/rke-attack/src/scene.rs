//! The target: a network, a daemon on it whose connections are recorded, a session from the RAIDAs and one from the
//! cache. Both send a secret through their tunnel, and are deleted at both ends before the attacker begins.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rke_client::{CachedKey, Client, KeyChoice, OtherEnd, Receipt, call};
use rke_daemon::Daemon;
use rke_engine::settings::Config;
use rke_proto::{ContentServerId, RaidaIndex};
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;
use rke_raida::network::{LocalNetwork, LocalNetworkConfig};

use crate::tap::{self, Recording};

pub(crate) const DOMAIN: &str = "content.rke.test";

/// The secret that must stay secret.
pub(crate) const SECRET: &[u8] = b"DELETE FROM users WHERE id = 4711; -- for your eyes only";

/// The RAIDA that is dishonest.
pub(crate) const DISHONEST: u8 = 7;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A network, and what went over it.
pub(crate) struct Scene {
    pub(crate) network: LocalNetwork,
    /// All connections to the Content Server.
    pub(crate) recordings: Vec<Recording>,
    /// All requests to the dishonest RAIDA.
    pub(crate) requests: Vec<Vec<u8>>,
    /// A copy of the daemon's data directory, as it was while a key was cached.
    pub(crate) stolen_data_dir: PathBuf,
}

impl Scene {
    /// Plays it to its end.
    pub(crate) async fn play(folder: &Path) -> Result<Self> {
        let network = network(folder).await?;
        let (content_server, recordings) = tap::tcp(network.content_server_address()).await?;
        let dishonest = network.node_addresses()[usize::from(DISHONEST)];
        let (tapped, datagrams) = tap::udp(dishonest).await?;
        let records = with_node(&with_port(network.records(), content_server.port()), dishonest, tapped);
        let dns = DnsServer::start(SocketAddr::new(LOOPBACK, 0), [&records], LOOPBACK).await?;
        let data_dir = folder.join("daemon");
        let daemon = Daemon::start(config(&data_dir, dns.address())).await?;
        let client = Client::new(daemon.address().to_string());
        let mut ids = Vec::new();
        for expected in [false, true] {
            let created = client.ask(&call::create(DOMAIN, network.wallet(), KeyChoice::Cached)).await?;
            ensure!(created.from_cache == expected, "the sessions are not those of the scene");
            let id = created.session_id.as_str().to_owned();
            send_secret(&client, &id).await?;
            ids.push(id);
        }
        let stolen_data_dir = folder.join("stolen");
        copy(&data_dir, &stolen_data_dir)?;
        for id in &ids {
            let delete = call::delete(id, CachedKey::Keep, Receipt::None, OtherEnd::Wait);
            client.ask(&delete).await?;
        }
        daemon.stop().await;
        let requests = datagrams.lock().unwrap_or_else(PoisonError::into_inner).requests.clone();
        let recordings = recordings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(recordings.iter().all(|of| !contains(&of.to_server, SECRET)), "nothing is encrypted at all");
        Ok(Self { network, recordings, requests, stolen_data_dir })
    }
}

/// A network whose Content Server echoes.
pub(crate) async fn network(folder: &Path) -> Result<LocalNetwork> {
    let dir = folder.join("network");
    std::fs::create_dir_all(&dir)?;
    let config = LocalNetworkConfig {
        dir,
        domain: DOMAIN.into(),
        cs_id: ContentServerId::new("CONTENT-SERVER01").context("not a Content Server ID")?,
        first_raida_port: 0,
        dns_port: 0,
        content_server_port: 0,
    };
    LocalNetwork::start(config).await.context("no local network")
}

/// The settings of a daemon that asks this DNS server.
pub(crate) fn config(data_dir: &Path, dns: SocketAddr) -> Config {
    let mut config = Config::new(data_dir.into());
    config.fixed.listen = vec![SocketAddr::new(LOOPBACK, 0).into()];
    config.fixed.dns_server = Some(dns);
    config
}

/// Sends the secret through a session's tunnel, and receives the echo.
pub(crate) async fn send_secret(client: &Client, id: &str) -> Result<()> {
    let said = client.tunnel(id, SECRET).await?.into_vec().await?;
    ensure!(said == SECRET, "the Content Server does not echo");
    Ok(())
}

/// The same records with another port in the SRV record.
pub(crate) fn with_port(records: &DnsRecords, port: u16) -> DnsRecords {
    DnsRecords { port, ..records.clone() }
}

/// The same records with another address of a RAIDA.
pub(crate) fn with_node(records: &DnsRecords, node: SocketAddr, elsewhere: SocketAddr) -> DnsRecords {
    let replace = |text: &String| text.replace(&node.to_string(), &elsewhere.to_string());
    DnsRecords { texts: records.texts.iter().map(replace).collect(), ..records.clone() }
}

/// A DNS server of the attacker's.
pub(crate) async fn dns(records: &DnsRecords, listen: SocketAddr) -> Result<DnsServer> {
    Ok(DnsServer::start(listen, [records], LOOPBACK).await?)
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::new(LOOPBACK, 0)
}

pub(crate) fn dishonest() -> Result<RaidaIndex> {
    RaidaIndex::new(DISHONEST).context("there is no such RAIDA")
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Data that an attacker has decrypted so far, shared with the task that decrypts it.
pub(crate) type Loot = Arc<Mutex<Vec<u8>>>;

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &to)?,
            false => drop(std::fs::copy(&path, &to)?),
        }
    }
    Ok(())
}
