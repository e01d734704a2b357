//! Errors that keep the daemon from starting.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rke_engine::discovery::ResolverError;
use rke_engine::sessions::OpenStoreError;
use rke_engine::trust::TrustFileError;
use rke_host::audit::AuditError;
use rke_host::data_dir::DataDirError;
use rke_host::directory::DirectoryError;

use crate::http::gate::AdmissionError;
use crate::http::wire::unix_socket::UnixSocketError;
use crate::tls::TlsError;
use crate::token::SharedTokenError;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The token that other daemons share cannot be used.
    #[error(transparent)]
    SharedToken(#[from] SharedTokenError),
    /// The RAIDA directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The DNS resolver cannot be set up.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// The daemon cannot listen on an address.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A socket inherited from systemd cannot be used.
    #[error("cannot use the socket that systemd has opened: {0}; check the .socket unit")]
    Inherited(io::Error),
    /// Anyone who reaches the address could use the daemon.
    #[error(
        "will not listen on {0}: other machines can reach this address, and anyone who does could use every session; \
         require a token with --require-token, or client certificates with --tls-cert, --tls-key and \
         --tls-client-ca, or listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// The gate's settings are not valid.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The daemon cannot listen on the Unix socket.
    #[error(transparent)]
    UnixSocket(#[from] UnixSocketError),
    /// The audit log cannot be used.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The file of known Content Servers cannot be used.
    #[error(transparent)]
    Known(#[from] TrustFileError),
    /// The store that other machines share cannot be used.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The file with the RAIDA directory that guardians agree on cannot be used.
    #[error(
        "cannot use the file `raida-directory.json` of the data directory: {0}; check that the daemon's user may read and \
         write it"
    )]
    AgreedDirectory(#[source] io::Error),
    /// The file of pending deletions cannot be used.
    #[error(
        "cannot use the file `pending-deletions` of the data directory: {0}; check that the daemon's user may read and \
         write it"
    )]
    PendingDeletions(#[source] io::Error),
    /// The folder for wallets cannot be used.
    #[error(
        "cannot confine wallets to {path}, the folder that --wallet-root names: {source}; check that it is a folder \
         that the daemon's user may read"
    )]
    WalletRoot {
        /// The requested folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
