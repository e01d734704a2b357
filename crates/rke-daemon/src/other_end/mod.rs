//! The HTTP interface of a Content Server: the part of the daemon's that uses keys, for the application at the other end
//! of the sessions. `docs/content-server.md`, "Use the keys".

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::session_keys::SessionKeys;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http;
use crate::http::gate::{Admission, AdmissionRules};
use crate::http::wire::server::{Door, serve};
use crate::http::wire::unix_socket::{self, UnixSocketError};
use crate::local_listen::{LocalListen, TcpFault, listen_on};
use crate::run_files::RunFiles;
use crate::token::Token;

/// The option that names where it listens.
const OPTION: &str = "--api";

/// How long a body may stall, and a client read nothing of a response.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the interface cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OtherEndError {
    /// The Unix socket cannot be used.
    #[error(transparent)]
    UnixSocket(#[from] UnixSocketError),
    /// Other machines could reach the address.
    #[error(
        "will not listen on {0} for the application: other machines can reach this address, and plaintexts would cross the \
         network; choose an address of 127.0.0.1 or [::1], or unix:PATH, with --api"
    )]
    Exposed(SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {address} for the application: {source}; choose another address with --api")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The token cannot be written.
    #[error(transparent)]
    Token(#[from] DataDirError),
}

/// The running interface. It runs until [`OtherEnd::stop`].
pub struct OtherEnd {
    address: Option<SocketAddr>,
    files: RunFiles,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl OtherEnd {
    /// Starts to serve these keys. Over TCP, clients need the token in the file `token` of the data directory.
    ///
    /// # Errors
    /// [`OtherEndError`]; nothing is left running.
    pub async fn start(
        listen: &LocalListen,
        keys: &Arc<dyn SessionKeys>,
        data_dir: &DataDir,
    ) -> Result<Self, OtherEndError> {
        let mut files = RunFiles::default();
        let (door, address, token) = match listen {
            LocalListen::Unix(socket) => {
                let (listener, guard) = unix_socket::listen(socket, OPTION).await?;
                files.unix_socket = Some(socket.path.clone());
                (Door::Unix(listener, guard), None, None)
            }
            LocalListen::Tcp(address) => {
                let (listener, address) = listen_on(*address).await.map_err(|fault| match fault {
                    TcpFault::Exposed => OtherEndError::Exposed(*address),
                    TcpFault::System(source) => OtherEndError::Listen { address: *address, source },
                })?;
                let token = Token::create(data_dir)?;
                files.token = Some(token.path().into());
                (Door::Tcp(listener), Some(address), Some(token))
            }
        };
        let admission = Admission::new(AdmissionRules::for_programs(), token, Arc::default());
        let traffic = Arc::new(http::traffic_of_other_end());
        let dispatcher = http::dispatcher_of_other_end(keys, Arc::new(admission), Arc::clone(&traffic));
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(door, Arc::new(dispatcher), traffic, BODY_TIMEOUT, stopped));
        Ok(Self { address, files, stop, server })
    }

    /// The address, if it listens on TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The path of the Unix socket, if it listens there.
    pub fn socket(&self) -> Option<&Path> {
        self.files.unix_socket.as_deref()
    }

    /// The file with the token that requests over TCP must carry.
    pub fn token_file(&self) -> Option<&Path> {
        self.files.token.as_deref()
    }

    /// Stops within a second, and removes its files.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}
