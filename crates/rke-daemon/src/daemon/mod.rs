//! Starts and stops the whole daemon: data directory, key cache, discovery, sessions, HTTP.

mod error;
mod reload;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rke_engine::audit::Audit;
use rke_engine::discovery::{self, Discovery, Validation};
use rke_engine::exchange::{Exchange, ExchangeConfig};
use rke_engine::guardians::AgreedDirectory;
use rke_engine::journal::Journal;
use rke_engine::keys::{self, Keystore};
use rke_engine::model::clock::Reading;
use rke_engine::remote_deletions::RemoteDeletions;
use rke_engine::sessions::{Parts, Sessions};
use rke_engine::settings::Config;
use rke_engine::settings::access::{TokenRule, UnixSocket};
use rke_engine::settings::listen::Listen;
use rke_engine::trust::KnownServers;
use rke_host::data_dir::{DataDir, Role, Sharing};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use tokio::time::{sleep, timeout};

pub use self::error::StartError;
use self::reload::Sources;
use crate::etsi::{EtsiCertificates, EtsiListener, EtsiPeer, EtsiServer};
use crate::http;
use crate::http::gate::{Admission, Refusals};
use crate::http::wire::server::{Door, serve};
use crate::http::wire::unix_socket::{self, Guard};
use crate::run_files::RunFiles;
use crate::tls::Acceptor;
use crate::token::Token;

/// How long a stop waits for work that cannot be cancelled, such as file system calls, to release the data
/// directory.
const DATA_DIR_WAIT: Duration = Duration::from_secs(1);

/// How often expired keys are removed. They are refused as soon as they expire in any case.
const KEY_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How often the daemon checks whether the machine has slept. Each request checks too.
const SLEEP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long Content Servers have to wipe keys when the daemon stops.
const REMOTE_TIME: Duration = Duration::from_millis(700);

/// How long the other ends of tunnels have to notice that the daemon stops.
const TUNNELS_TIMEOUT: Duration = Duration::from_millis(500);

/// A running daemon. It runs until [`Daemon::stop`].
pub struct Daemon {
    addresses: Vec<SocketAddr>,
    sessions: Arc<Sessions>,
    admission: Arc<Admission>,
    tls: Option<Arc<Acceptor>>,
    files: RunFiles,
    token_file: Option<PathBuf>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
    keepers: JoinSet<()>,
    etsi: Option<EtsiServer>,
    etsi_peers: http::EtsiPeers,
    data_dir: Weak<DataDir>,
}

/// Sockets that already listen when the daemon starts, because systemd opened them.
#[derive(Debug, Default)]
pub struct Inherited {
    /// TCP sockets. If there are any, the configured addresses are not used.
    pub tcp: Vec<std::net::TcpListener>,
    /// Unix sockets, for the daemon's own user.
    pub unix: Vec<std::os::unix::net::UnixListener>,
}

impl Daemon {
    /// Starts a daemon.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_on(config, Inherited::default(), || ()).await
    }

    /// Like [`Daemon::start`], with sockets that already listen. `give_up_rights` is called once everything that
    /// needs privileges is done, and before the first request is answered.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start_on(
        config: Config,
        inherited: Inherited,
        give_up_rights: impl FnOnce(),
    ) -> Result<Self, StartError> {
        let Config { fixed, reloadable } = &config;
        let validation = Validation::load(fixed.dnssec, fixed.dnssec_anchors.as_deref())?;
        let reach = discovery::reach(fixed.dns_server, fixed.allow_private_raidas);
        let Sources { directory, wallet_root, admission, certificates } = Sources::read(reloadable).await?;
        let discovery = Discovery::new(fixed.dns_server, validation, directory, reach);
        let tls = certificates.map(Acceptor::new).map(Arc::new);
        let listeners = listen(&config, inherited.tcp).await?;
        let addresses: Vec<SocketAddr> = listeners.iter().map(|(_, address)| *address).collect();
        let data_dir = Arc::new(DataDir::open(&fixed.data_dir, Role::Daemon, Sharing::Alone)?);
        let mut files = RunFiles::default();
        let sockets = listen_at_sockets(fixed.unix_socket.as_ref(), inherited.unix, &mut files).await?;
        let audit = Audit::open_if_wanted(fixed.audit_log.as_deref(), &data_dir)?;
        let journal = Arc::new(Journal::new(audit));
        let token = token(&fixed.token, &data_dir, &mut files)?;
        let token_file = token.as_ref().map(|token| token.path().to_owned());
        let admission = Arc::new(Admission::new(admission, token, Arc::clone(&journal)));
        let key_limits = keys::Limits { ttl_hours: reloadable.key_ttl_hours, max: reloadable.max_keys };
        let agreed = AgreedDirectory::open(Arc::clone(&data_dir), reloadable.guardians.clone(), reach);
        let agreed = agreed.map_err(StartError::AgreedDirectory)?;
        let in_use = Arc::downgrade(&data_dir);
        let keystore = Arc::new(Keystore::open(data_dir, key_limits)?);
        let known = KnownServers::open(&fixed.data_dir, reloadable.pins.clone())?;
        let exchange = Arc::new(Exchange::new(discovery, agreed, known, ExchangeConfig::of(reloadable)));
        let remote = RemoteDeletions::open(&fixed.data_dir, Arc::clone(&exchange), Arc::clone(&journal));
        let remote = Arc::new(remote.map_err(StartError::PendingDeletions)?);
        let door = |(listener, _)| match &tls {
            Some(acceptor) => Door::Tls(listener, Arc::clone(acceptor)),
            None => Door::Tcp(listener),
        };
        let doors: Vec<Door> = listeners.into_iter().map(door).chain(sockets).collect();
        let mut keepers = JoinSet::new();
        keepers.spawn(keep_keys(Arc::clone(&keystore)));
        keepers.spawn(keep_directory(Arc::clone(&exchange)));
        let body_timeout = fixed.body_timeout;
        let parts = Parts { keystore, exchange, remote, wallet_root, journal: Arc::clone(&journal) };
        let sessions = Arc::new(Sessions::start(config, parts).await?);
        keepers.spawn(keep_awake(Arc::clone(&sessions)));
        let (stop, stopped) = watch::channel(false);
        let traffic = Arc::new(http::traffic());
        let etsi_peers = http::EtsiPeers::default();
        let (shared, gate) = (Arc::clone(&sessions), Arc::clone(&admission));
        let dispatcher = Arc::new(http::dispatcher(
            shared,
            gate,
            Arc::clone(&traffic),
            stopped.clone(),
            Arc::clone(&etsi_peers),
        ));
        give_up_rights();
        let serve_door =
            |door| serve(door, Arc::clone(&dispatcher), Arc::clone(&traffic), body_timeout, stopped.clone());
        let servers = doors.into_iter().map(serve_door).collect();
        for address in &addresses {
            tracing::info!(%address, "listening");
        }
        journal.daemon_started();
        let etsi = None;
        Ok(Self {
            addresses,
            sessions,
            admission,
            tls,
            files,
            token_file,
            stop,
            servers,
            keepers,
            etsi,
            etsi_peers,
            data_dir: in_use,
        })
    }

    /// Reads everything that a start would read from the files named in the settings. It changes nothing and does
    /// not open the data directory.
    ///
    /// # Errors
    /// The first [`StartError`] that a start would fail with.
    pub async fn check(config: &Config) -> Result<(), StartError> {
        Validation::load(config.fixed.dnssec, config.fixed.dnssec_anchors.as_deref())?;
        Sources::read(&config.reloadable).await?;
        config.fixed.token.shared().map(Token::read).transpose()?;
        config.fixed.listen.iter().try_for_each(|listen| match listen {
            Listen::Address(address) => check_exposure(config, *address),
            Listen::Localhost(_) => Ok(()),
        })
    }

    /// The address on which the HTTP API listens; the first one if there are several.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses on which the HTTP API listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The sessions that the API works on.
    #[cfg(test)]
    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The file with the token that requests must carry, if a token is required.
    pub fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// The requests that the gate has rejected so far.
    pub fn refusals(&self) -> &Refusals {
        self.admission.refusals()
    }

    /// Applies new settings: all of them or none. Returns the names of the changed settings that need a restart.
    ///
    /// # Errors
    /// [`StartError`]; the old settings stay in force.
    pub async fn reload(&self, config: Config) -> Result<Vec<&'static str>, StartError> {
        let parts = reload::Parts {
            sessions: &self.sessions,
            admission: &self.admission,
            tls: self.tls.as_deref(),
            addresses: &self.addresses,
        };
        reload::reload(parts, config).await
    }

    /// Notes how a reload went, of which [`Daemon::reload`] is a part, for the status and the metrics.
    pub fn note_reload<T, E>(&self, reloaded: &Result<T, E>) {
        self.sessions.journal().last_reload().note(reloaded);
    }

    /// Drops every session and every cached key, those of all machines that share them, and cancels running exchanges. The daemon keeps
    /// serving.
    pub async fn drop_everything(&self) {
        tracing::warn!("all sessions and cached keys are dropped on request");
        if let Err(error) = self.sessions.drop_everything().await {
            tracing::error!(%error, "not everything could be dropped");
        }
    }

    /// Serves SAEs from now on: keys of sessions with the Content Servers of these peers.
    pub fn serve_etsi(&mut self, listener: EtsiListener, peers: &[EtsiPeer]) {
        let (server, keeper) = EtsiServer::at_daemon(listener, &self.sessions, peers, &self.etsi_peers);
        self.keepers.spawn(keeper);
        self.etsi = Some(server);
    }

    /// Shows SAEs these certificates from now on.
    pub fn replace_etsi_certificates(&self, certificates: EtsiCertificates) {
        if let Some(etsi) = &self.etsi {
            etsi.replace(certificates);
        }
    }

    /// Returns if the sessions can still be reached; hangs if they cannot.
    pub fn prove_alive(&self) {
        self.sessions.prove_alive();
    }

    /// Stops within a second. All sessions end and their keys are wiped, also at the Content Servers that respond
    /// in that time. The next start takes up the remaining deletions. Sessions that other machines share live on.
    pub async fn stop(mut self) {
        let remote_deadline = Instant::now() + REMOTE_TIME;
        self.keepers.shutdown().await;
        let _ = self.stop.send(true);
        let etsi = self.etsi.take();
        let stop_etsi = async {
            if let Some(etsi) = etsi {
                etsi.stop().await;
            }
        };
        self.sessions.close();
        let _ = tokio::join!(
            self.servers.join_all(),
            stop_etsi,
            timeout(TUNNELS_TIMEOUT, self.sessions.stop_tunnels())
        );
        let ended = self.sessions.stop().await;
        self.sessions.stop_remote_deletions(remote_deadline).await;
        self.sessions.journal().daemon_stopped(ended, self.sessions.count_remote_deletions());
        let (is_shared, sessions) = (self.sessions.are_shared(), self.sessions);
        let _ = spawn_blocking(move || sessions.journal().audit().close()).await;
        drop((self.admission, self.files));
        // Another daemon may need the data directory right away.
        let let_go = async {
            while self.data_dir.strong_count() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(DATA_DIR_WAIT, let_go).await;
        match is_shared {
            true => tracing::info!("stopped; the sessions live on in the shared store"),
            false => tracing::info!("stopped; all sessions have ended"),
        }
    }

    /// Reopens the audit log's file. Call it after the file was moved away.
    pub fn reopen_audit_log(&self) {
        self.sessions.journal().audit().reopen();
    }
}

/// Returns at least one listener, each with its address.
async fn listen(
    config: &Config,
    inherited: Vec<std::net::TcpListener>,
) -> Result<Vec<(TcpListener, SocketAddr)>, StartError> {
    let mut listeners = Vec::new();
    for listener in inherited {
        listener.set_nonblocking(true).map_err(StartError::Inherited)?;
        let address = listener.local_addr().map_err(StartError::Inherited)?;
        check_exposure(config, address)?;
        listeners.push((TcpListener::from_std(listener).map_err(StartError::Inherited)?, address));
    }
    if !listeners.is_empty() {
        return Ok(listeners);
    }
    for listen in &config.fixed.listen {
        if let Listen::Address(address) = listen {
            check_exposure(config, *address)?;
        }
        let bound = listen.bind().await;
        listeners.extend(bound.map_err(|(address, source)| StartError::Listen { address, source })?);
    }
    Ok(listeners)
}

/// Returns the Unix sockets: those that systemd has opened, and the daemon's own. `files` then has the file of the latter.
async fn listen_at_sockets(
    own: Option<&UnixSocket>,
    inherited: Vec<std::os::unix::net::UnixListener>,
    files: &mut RunFiles,
) -> Result<Vec<Door>, StartError> {
    let mut doors = Vec::new();
    for listener in inherited {
        doors.push(Door::Unix(unix_socket::inherit(listener)?, Guard::Users));
    }
    if let Some(socket) = own {
        let (listener, guard) = unix_socket::listen(socket, "--unix-socket").await?;
        doors.push(Door::Unix(listener, guard));
        files.unix_socket = Some(socket.path.clone());
    }
    Ok(doors)
}

fn check_exposure(config: &Config, address: SocketAddr) -> Result<(), StartError> {
    let access = &config.reloadable.access;
    if access.exposes(address, &config.fixed.token) {
        return Err(StartError::Exposed(address));
    }
    if !address.ip().to_canonical().is_loopback() && access.tls.is_none() {
        tracing::warn!(
            %address,
            "requests, plaintexts and the token cross the network unencrypted; encrypt them with --tls-cert and --tls-key"
        );
    }
    Ok(())
}

/// The token that requests must carry. `None` if no token is required. Its file ends with this run, unless other daemons share it.
fn token(rule: &TokenRule, data_dir: &DataDir, files: &mut RunFiles) -> Result<Option<Token>, StartError> {
    Ok(match rule {
        TokenRule::Required => {
            let token = Token::create(data_dir)?;
            files.token = Some(token.path().into());
            Some(token)
        }
        TokenRule::Shared(path) => Some(Token::read(path)?),
        TokenRule::None => None,
    })
}

/// Removes expired keys.
async fn keep_keys(keystore: Arc<Keystore>) {
    loop {
        tokio::time::sleep(KEY_SWEEP_INTERVAL).await;
        let keystore = Arc::clone(&keystore);
        let _ = spawn_blocking(move || keystore.sweep()).await;
    }
}

/// Asks the guardians, at once and from time to time.
async fn keep_directory(exchange: Arc<Exchange>) {
    exchange.keep_directory().await;
}

/// Notices that the machine has slept even if no request arrives.
async fn keep_awake(sessions: Arc<Sessions>) {
    loop {
        tokio::time::sleep(SLEEP_CHECK_INTERVAL).await;
        sessions.drop_after_sleep(&Reading::now()).await;
    }
}

#[cfg(test)]
mod tests;
