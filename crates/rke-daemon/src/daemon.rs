//! Starts and stops the whole daemon: data directory, key cache, discovery, sessions, HTTP.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_host::data_dir::{DataDir, DataDirError, Sharing};
use rke_host::directory::{self, DirectoryError};
use rke_proto::directory::Directory;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::access::{Access, TokenRule};
use crate::config::Config;
use crate::discovery::{Discovery, ResolverError};
use crate::exchange::{Exchange, Rules};
use crate::http;
use crate::http::admission::{Admission, AdmissionError, Refusals};
use crate::http::server::{Door, serve};
use crate::http::tls::{self, TlsError};
use crate::http::unix_socket::{self, UnixSocketError};
use crate::keystore::Keystore;
use crate::sessions::Sessions;
use crate::token::Token;
use crate::wallet_root::WalletRoot;

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
    /// The folder for wallets.
    #[error("cannot use {path} as the folder for wallets: {source}; name a folder with --wallet-root")]
    WalletRoot {
        /// The folder that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A running daemon. It goes on until [`Daemon::stop`].
pub struct Daemon {
    address: SocketAddr,
    sessions: Arc<Sessions>,
    admission: Arc<Admission>,
    files: Files,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    key_sweeper: JoinHandle<()>,
}

/// What goes from the disk when the daemon stops.
#[derive(Default)]
struct Files {
    token: Option<PathBuf>,
    unix_socket: Option<PathBuf>,
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
        let wallet_root = config.access.wallet_root.as_deref().map(open_wallet_root).transpose()?;
        let tls = config.access.tls.as_ref().map(tls::acceptor).transpose()?;
        let (listener, address) = listen(&config).await?;
        let data_dir = Arc::new(DataDir::open(&config.data_dir, Sharing::Alone)?);
        let mut files = Files::default();
        let admission = Arc::new(admission(&config.access, &data_dir, &mut files)?);
        let keystore = Arc::new(Keystore::open(data_dir, config.key_ttl_hours, config.max_keys)?);
        let rules = Rules {
            timeout: config.exchange_timeout,
            confirm: config.confirm,
            confirm_timeout: config.confirm_timeout,
            allow_weak_shares: config.allow_weak_shares.iter().cloned().collect(),
        };
        let exchange = Exchange::new(discovery, rules);
        let mut doors = vec![match tls {
            Some(acceptor) => Door::Tls(listener, acceptor),
            None => Door::Tcp(listener),
        }];
        if let Some(path) = &config.access.unix_socket {
            doors.push(Door::Unix(unix_socket::listen(path).await?));
            files.unix_socket = Some(path.clone());
        }
        let key_sweeper = tokio::spawn(sweep_keys(Arc::clone(&keystore)));
        let body_timeout = config.body_timeout;
        let sessions = Arc::new(Sessions::new(config, keystore, exchange, wallet_root));
        let (stop, stopped) = watch::channel(false);
        let router = http::router(Arc::clone(&sessions), Arc::clone(&admission));
        let servers = doors
            .into_iter()
            .map(|door| serve(door, router.clone(), body_timeout, stopped.clone()))
            .collect();
        tracing::info!(%address, "listening");
        Ok(Self { address, sessions, admission, files, stop, servers, key_sweeper })
    }

    /// Where the HTTP API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the token that requests must carry, where they must.
    pub fn token_file(&self) -> Option<&Path> {
        self.files.token.as_deref()
    }

    /// What has been refused at the gate so far.
    pub fn refusals(&self) -> &Refusals {
        self.admission.refusals()
    }

    /// Stops within a second. All sessions end and their keys are wiped.
    pub async fn stop(self) {
        self.key_sweeper.abort();
        let _ = self.stop.send(true);
        self.servers.join_all().await;
        self.sessions.store().clear();
        tracing::info!("stopped, all sessions ended");
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in [&self.token, &self.unix_socket].into_iter().flatten() {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a file that has no use any more");
            }
        }
    }
}

async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr), StartError> {
    let access = &config.access;
    if access.exposes(config.listen) {
        return Err(StartError::Exposed(config.listen));
    }
    let listen_error = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    if !address.ip().to_canonical().is_loopback() && access.tls.is_none() {
        tracing::warn!(%address, "requests, plaintexts and the token cross the network unencrypted; --tls-cert and --tls-key change that");
    }
    Ok((listener, address))
}

fn open_wallet_root(path: &Path) -> Result<WalletRoot, StartError> {
    WalletRoot::open(path).map_err(|source| StartError::WalletRoot { path: path.into(), source })
}

fn admission(access: &Access, data_dir: &DataDir, files: &mut Files) -> Result<Admission, StartError> {
    let token = match access.token {
        TokenRule::Required => Some(Token::create(data_dir)?),
        TokenRule::None => None,
    };
    files.token = token.as_ref().map(|token| token.path().into());
    Ok(Admission::new(access, token)?)
}

async fn sweep_keys(keystore: Arc<Keystore>) {
    loop {
        tokio::time::sleep(KEY_SWEEP_INTERVAL).await;
        let keystore = Arc::clone(&keystore);
        let _ = tokio::task::spawn_blocking(move || keystore.sweep()).await;
    }
}
