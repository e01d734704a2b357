//! Starts and stops the whole daemon: data directory, key cache, discovery, sessions, HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rke_host::data_dir::{Access, DataDir, DataDirError};
use rke_host::directory::{self, DirectoryError};
use rke_proto::directory::Directory;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::discovery::{Discovery, ResolverError};
use crate::exchange::{Exchange, Rules};
use crate::http;
use crate::keystore::Keystore;
use crate::sessions::Sessions;

/// How often expired keys are looked for; they are refused from their expiry on in any case.
const KEY_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

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
}

/// A running daemon. It goes on until [`Daemon::stop`].
pub struct Daemon {
    address: SocketAddr,
    sessions: Arc<Sessions>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    key_sweeper: JoinHandle<()>,
}

impl Daemon {
    /// Starts a daemon.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let directory = match &config.raida_directory {
            Some(path) => directory::load(path).await?,
            None => Directory::default(),
        };
        let discovery = Discovery::new(config.dns_server, directory)?;
        let listen_error = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let data_dir = Arc::new(DataDir::open(&config.data_dir, Access::Exclusive)?);
        let keystore = Arc::new(Keystore::open(data_dir, config.key_ttl_hours, config.max_keys)?);
        let rules = Rules {
            timeout: config.exchange_timeout,
            confirm: config.confirm,
            confirm_timeout: config.confirm_timeout,
            allow_weak_shares: config.allow_weak_shares.iter().cloned().collect(),
        };
        let exchange = Exchange::new(discovery, rules);
        let key_sweeper = tokio::spawn(sweep_keys(Arc::clone(&keystore)));
        let sessions = Arc::new(Sessions::new(config, keystore, exchange));
        let (stop, stopped) = watch::channel(false);
        let router = http::router(Arc::clone(&sessions));
        let server = tokio::spawn(http::server::serve(listener, router, stopped));
        tracing::info!(%address, "listening");
        Ok(Self { address, sessions, stop, server, key_sweeper })
    }

    /// Where the HTTP API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops within a second. All sessions end and their keys are wiped.
    pub async fn stop(self) {
        self.key_sweeper.abort();
        let _ = self.stop.send(true);
        let _ = self.server.await;
        self.sessions.store().clear();
        tracing::info!("stopped, all sessions ended");
    }
}

async fn sweep_keys(keystore: Arc<Keystore>) {
    loop {
        tokio::time::sleep(KEY_SWEEP_INTERVAL).await;
        let keystore = Arc::clone(&keystore);
        let _ = tokio::task::spawn_blocking(move || keystore.sweep()).await;
    }
}
