//! Why a daemon does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rke_engine::audit::AuditError;
use rke_engine::discovery::ResolverError;
use rke_engine::trust::TrustFileError;
use rke_host::data_dir::DataDirError;
use rke_host::directory::DirectoryError;

use crate::http::gate::AdmissionError;
use crate::http::wire::tls::TlsError;
use crate::http::wire::unix_socket::UnixSocketError;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The RAIDA directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The DNS resolver.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// The address.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A socket that was handed over.
    #[error("cannot use the socket that systemd has opened: {0}; check the .socket unit")]
    Inherited(io::Error),
    /// Anybody who reaches the address could use the daemon.
    #[error(
        "will not listen on {0}: it lies beyond this machine, and whoever reaches it could use every session; \
         ask clients for a token with --require-token or for certificates with --tls-cert, --tls-key and \
         --tls-client-ca, or listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// The gate's settings.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The unix socket.
    #[error(transparent)]
    UnixSocket(#[from] UnixSocketError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The file of known Content Servers.
    #[error(transparent)]
    Known(#[from] TrustFileError),
    /// The file of the directory that guardians agree on.
    #[error("cannot use the file `raida-directory.json` of the data directory: {0}")]
    AgreedDirectory(#[source] io::Error),
    /// The file of pending deletions.
    #[error("cannot use the file `pending-deletions` of the data directory: {0}")]
    PendingDeletions(#[source] io::Error),
    /// The folder for wallets.
    #[error("cannot keep wallets inside {path}, as --wallet-root asks: {source}")]
    WalletRoot {
        /// The folder that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
