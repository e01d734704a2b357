//! ETSI GS QKD 014 V1.1.1: keys for programs that get them from a key server, a daemon at one end and a Content Server at
//! the other. `docs/etsi.md` describes it. No message passes between the two ends for a key: both derive it from a
//! session that they share (`rke_proto::export::etsi`).
//!
//! `wire` has connections, `sae` says who asks, `request` what for, `answer` responds, from the sessions of an
//! [`End`]: those of a daemon (`daemon_end`, whose `peers` open them), or those of a Content Server (`server_end`).
//! `delivered` remembers which keys have left.

mod answer;
mod daemon_end;
mod delivered;
mod peers;
mod refusal;
mod request;
mod sae;
mod server_end;
#[cfg(feature = "testing")]
pub mod testing;
mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rke_engine::sessions::Sessions;
use rke_host::session_keys::SessionKeys;
use rke_proto::export::etsi::{EtsiKeyId, SaeId};
use rke_proto::handshake::KeyId;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpListener;

use self::daemon_end::DaemonEnd;
pub use self::peers::EtsiPeer;
use self::peers::Peers;
use self::refusal::Refusal;
use self::server_end::ContentServerEnd;
pub use self::server_end::EtsiClient;
pub use self::wire::EtsiServer;
use self::wire::Way;
use crate::http::EtsiPeers;
use crate::tls::{Acceptor, Certificates, TlsError, Uncertified};

/// Where SAEs are served, and how they show who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtsiListen {
    /// The address.
    pub address: SocketAddr,
    /// How they show it.
    pub identity: SaeIdentity,
}

/// How an SAE shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaeIdentity {
    /// By nothing: there is only this one, on this machine, and it comes over plain HTTP.
    Only(SaeId),
    /// By its certificate, over TLS.
    Certificate {
        /// The files for TLS.
        files: EtsiTlsFiles,
        /// Those that are served. All that have a certificate, where there are none.
        saes: Vec<SaeId>,
    },
}

/// The files for TLS, each in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtsiTlsFiles {
    /// The server's certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The roots of the certificates of SAEs.
    pub client_ca: PathBuf,
}

/// Why SAEs cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum EtsiStartError {
    /// Other machines could ask for keys in the name of the one SAE.
    #[error(
        "will not serve keys over plain HTTP on {0}: other machines can reach this address; listen on 127.0.0.1 or [::1] \
         with --etsi, or serve TLS with --etsi-tls-cert, --etsi-tls-key and --etsi-tls-client-ca"
    )]
    Exposed(SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {address} for SAEs: {source}; choose another address with --etsi")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot serve SAEs: {0}")]
    Tls(#[from] TlsError),
}

/// Listens for SAEs, who wait until they are served. The program gives up its rights in between.
pub struct EtsiListener {
    listener: TcpListener,
    address: SocketAddr,
    way: Way,
}

/// The certificates for TLS with SAEs, read from their files.
pub struct EtsiCertificates(Arc<ServerConfig>);

/// The standard allows TLS 1.2, and appliances use it. An SAE without a certificate is told that it needs one.
impl<'a> From<&'a EtsiTlsFiles> for Certificates<'a> {
    fn from(EtsiTlsFiles { certificate, key, client_ca }: &'a EtsiTlsFiles) -> Self {
        Self {
            certificate,
            key,
            client_ca: Some(client_ca.as_path()),
            flags: "--etsi-tls",
            versions: vec![&TLS13, &TLS12],
            uncertified: Uncertified::Told,
        }
    }
}

impl EtsiListen {
    /// Reads the files as a start would.
    ///
    /// # Errors
    /// [`EtsiStartError`].
    pub fn check(&self) -> Result<(), EtsiStartError> {
        self.way().map(drop)
    }

    /// Reads the certificates, if there are any, for [`EtsiServer::replace`].
    ///
    /// # Errors
    /// [`EtsiStartError::Tls`].
    pub fn certificates(&self) -> Result<Option<EtsiCertificates>, EtsiStartError> {
        match &self.identity {
            SaeIdentity::Only(_) => Ok(None),
            SaeIdentity::Certificate { files, .. } => {
                Ok(Some(EtsiCertificates(Certificates::from(files).load()?)))
            }
        }
    }

    /// The files with the certificates.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = match &self.identity {
            SaeIdentity::Only(_) => None,
            SaeIdentity::Certificate { files: EtsiTlsFiles { certificate, key, client_ca }, .. } => {
                Some([certificate, key, client_ca])
            }
        };
        files.into_iter().flatten().map(AsRef::as_ref)
    }

    fn way(&self) -> Result<Way, EtsiStartError> {
        match &self.identity {
            SaeIdentity::Only(_) if !self.address.ip().is_loopback() => {
                Err(EtsiStartError::Exposed(self.address))
            }
            SaeIdentity::Only(sae) => Ok(Way::Plain(sae.clone())),
            SaeIdentity::Certificate { files, saes } => {
                let acceptor = Arc::new(Acceptor::new(Certificates::from(files).load()?));
                Ok(Way::Tls { acceptor, saes: saes.clone() })
            }
        }
    }
}

impl EtsiListener {
    /// Reads the files and starts to listen.
    ///
    /// # Errors
    /// [`EtsiStartError`].
    pub async fn bind(listen: &EtsiListen) -> Result<Self, EtsiStartError> {
        let (way, address) = (listen.way()?, &listen.address);
        let failed = |source| EtsiStartError::Listen { address: *address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, way })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl EtsiServer {
    /// Serves the SAEs of a Content Server, from the sessions of these clients.
    pub fn at_content_server(
        listener: EtsiListener,
        keys: Arc<dyn SessionKeys>,
        clients: &[EtsiClient],
    ) -> Self {
        let end = Arc::new(ContentServerEnd::new(keys, clients));
        Self::start(listener, end, Arc::default())
    }

    /// Serves the SAEs of a daemon, from sessions with the Content Servers of these peers, which are `shown` from then on.
    /// The second value keeps the sessions for as long as it is polled.
    pub(crate) fn at_daemon(
        listener: EtsiListener,
        sessions: &Arc<Sessions>,
        peers: &[EtsiPeer],
        shown: &EtsiPeers,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let delivered = Arc::default();
        let peers = Arc::new(Peers::new(Arc::clone(sessions), Arc::clone(&delivered), peers));
        let listed = Arc::clone(&peers);
        // Set once, because a daemon serves SAEs once.
        let _ = shown.set(Box::new(move || listed.rows()));
        let end = Arc::new(DaemonEnd::new(Arc::clone(sessions), Arc::clone(&peers)));
        (Self::start(listener, end, delivered), async move { peers.keep().await })
    }

    /// Uses these certificates for new connections, if it serves TLS.
    pub fn replace(&self, certificates: EtsiCertificates) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.replace(certificates.0);
        }
    }
}

/// A session that new keys come from.
pub(crate) struct Source {
    /// The id of its key.
    pub(crate) session: KeyId,
    /// The names of this key server and of the one at the other end.
    pub(crate) names: [String; 2],
}

/// An end of the sessions that keys come from.
pub(crate) trait End: Send + Sync + 'static {
    /// The session that new keys for this SAE at the other end come from.
    fn source(&self, other: &SaeId) -> impl Future<Output = Result<Source, Refusal>> + Send;

    /// The session that the key with this id is from, which is shared with this SAE at the other end.
    fn find(&self, other: &SaeId, id: EtsiKeyId) -> Result<Option<KeyId>, Refusal>;

    /// Whether this session still exists.
    fn is_live(&self, session: &KeyId) -> bool;

    /// Lets `work` use the export key of a session once. `false` if the session does not exist.
    fn with_export_key(&self, session: &KeyId, work: &mut dyn FnMut(&[u8; 32])) -> bool;

    /// Reports that this many keys of a session have left.
    fn note(&self, session: &KeyId, label: &str, count: usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_served_over_plain_http_to_this_machine_only() {
        let identity = || SaeIdentity::Only(SaeId::new("alice").expect("an SAE ID"));
        for address in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1"] {
            let listen = EtsiListen { address: address.parse().expect("an address"), identity: identity() };
            assert!(matches!(listen.check(), Err(EtsiStartError::Exposed(_))), "{address}");
        }
        for address in ["127.0.0.1:1", "[::1]:1"] {
            let listen = EtsiListen { address: address.parse().expect("an address"), identity: identity() };
            assert!(listen.check().is_ok(), "{address}");
        }
    }
}
