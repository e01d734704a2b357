//! The metrics and the health of a RAIDA node or a Content Server, on a port or a Unix socket of their own.
//! `docs/monitoring.md`.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rke_host::monitored::Monitored;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http;
use crate::http::gate::{Admission, AdmissionRules};
use crate::http::wire::server::{Door, serve};
use crate::http::wire::unix_socket::{self, UnixSocketError};
use crate::local_listen::{LocalListen, TcpFault, listen_on};
use crate::run_files::RunFiles;

/// The option that names where it listens.
const OPTION: &str = "--metrics";

/// How long a client may read nothing of a response.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The Unix socket cannot be used.
    #[error(transparent)]
    UnixSocket(#[from] UnixSocketError),
    /// Other machines could reach the address.
    #[error(
        "will not listen on {0} for metrics: other machines can reach this address, and anyone who does could read them; choose \
         an address of 127.0.0.1 or [::1], or unix:PATH, with --metrics"
    )]
    Exposed(SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {address} for metrics: {source}; choose another address with --metrics")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// The running listener. It runs until [`Monitor::stop`].
pub struct Monitor {
    address: Option<SocketAddr>,
    files: RunFiles,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Monitor {
    /// Starts to show a program's metrics and health.
    ///
    /// # Errors
    /// [`MonitorError`]; nothing is left running.
    pub async fn start(listen: &LocalListen, program: &Arc<dyn Monitored>) -> Result<Self, MonitorError> {
        let mut files = RunFiles::default();
        let (door, address) = match listen {
            LocalListen::Unix(socket) => {
                let (listener, guard) = unix_socket::listen(socket, OPTION).await?;
                files.unix_socket = Some(socket.path.clone());
                (Door::Unix(listener, guard), None)
            }
            LocalListen::Tcp(address) => {
                let (listener, own) = listen_on(*address).await.map_err(|fault| match fault {
                    TcpFault::Exposed => MonitorError::Exposed(*address),
                    TcpFault::System(source) => MonitorError::Listen { address: *address, source },
                })?;
                (Door::Tcp(listener), Some(own))
            }
        };
        let admission = Admission::new(AdmissionRules::for_programs(), None, Arc::default());
        let traffic = Arc::new(http::traffic_of_watched());
        let dispatcher = http::dispatcher_of_watched(program, Arc::new(admission), Arc::clone(&traffic));
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

    /// Stops within a second. The program is no longer used when this returns.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}
