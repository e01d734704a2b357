//! Finds a Content Server in DNS: its SRV target, and the key sets that its TXT records give.
//! `docs/protocol.md` section 1.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use rke_proto::directory::Directory;
use rke_proto::records::{KeySets, Records};

use crate::Domain;

/// Why a Content Server could not be found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The look-up itself failed.
    #[error("{record} look-up of {name}: {source}")]
    LookUp {
        /// `SRV` or `TXT`.
        record: RecordType,
        /// The name that was looked up.
        name: String,
        /// What the resolver said.
        source: NetError,
    },
    /// The records do not say where the Content Server is.
    #[error("{0} has no SRV record that names a Content Server")]
    NoTarget(String),
    /// No key set can make a key.
    #[error("no key set has {required} RAIDA servers with a known index{found}")]
    NoKeySet {
        /// RAIDAs that are required.
        required: u8,
        /// What there is instead, for a person to read.
        found: String,
    },
    /// The records ask for shares that this version does not have.
    #[error("the Content Server asks for wider shares than 32 bytes; a newer version of rke is needed")]
    UnknownWidth,
    /// The deadline came first.
    #[error("no answer from DNS in time")]
    TimedOut,
}

/// Why the resolver could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the DNS resolver: {0}; name a server with --dns-server")]
pub struct ResolverError(#[from] NetError);

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
    resolver: TokioResolver,
    directory: ArcSwap<Directory>,
}

impl Discovery {
    /// A discovery that asks `dns_server`, or the system's servers.
    ///
    /// # Errors
    /// [`ResolverError`], such as a system configuration that cannot be read.
    pub fn new(dns_server: Option<SocketAddr>, directory: Directory) -> Result<Self, ResolverError> {
        let builder = match dns_server {
            Some(server) => Resolver::builder_with_config(only(server), TokioRuntimeProvider::default()),
            None => TokioResolver::builder_tokio()?,
        };
        Ok(Self { resolver: builder.build()?, directory: ArcSwap::from_pointee(directory) })
    }

    /// Goes on with another directory of RAIDAs.
    pub(crate) fn set_directory(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
    }

    /// Finds the Content Server of `domain`. Has no deadline of its own: look-ups can outlive the
    /// resolver's, so the caller sets one around everything.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn discover(&self, domain: &Domain) -> Result<Discovered, DiscoveryError> {
        let name = format!("_rke._udp.{domain}.");
        let (srv, txt) =
            tokio::try_join!(self.look_up(&name, RecordType::SRV), self.look_up(&name, RecordType::TXT))?;
        let targets = srv.iter().filter_map(|data| match data {
            RData::SRV(srv) if !srv.target.is_root() => Some(srv),
            _ => None,
        });
        let best = targets.min_by_key(|srv| (srv.priority, u16::MAX - srv.weight));
        let best = best.ok_or_else(|| DiscoveryError::NoTarget(name.clone()))?;
        let texts: Vec<String> = txt.iter().filter_map(joined_text).collect();
        let sets = Records::parse(texts.iter().map(String::as_str)).key_sets(&self.directory.load());
        Ok(Discovered {
            target_host: best.target.to_ascii().trim_end_matches('.').to_owned(),
            target_port: best.port,
            sets,
        })
    }

    /// The addresses of the host that an SRV record names.
    ///
    /// # Errors
    /// [`DiscoveryError::LookUp`].
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DiscoveryError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let name = format!("{host}.");
        let found = self.resolver.lookup_ip(name.as_str()).await;
        let found = found.map_err(|source| DiscoveryError::LookUp { record: RecordType::A, name, source })?;
        Ok(found.iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn look_up(&self, name: &str, record: RecordType) -> Result<Vec<RData>, DiscoveryError> {
        let answer = self.resolver.lookup(name, record).await;
        let answer = answer.map_err(|source| DiscoveryError::LookUp { record, name: name.into(), source })?;
        Ok(answer.answers().iter().map(|record| record.data.clone()).collect())
    }
}

fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

/// The character-strings of a TXT record, joined without a separator.
fn joined_text(data: &RData) -> Option<String> {
    match data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    }
}
