//! The Content Server on TCP: one task for each connection, with limits on time and number. `connection` reads the
//! first packet, `records` and `narrow` carry an application's data.

mod connection;
mod cut;
mod key_set_log;
mod monitor;
mod narrow;
mod preshared;
mod record;
mod records;
mod session_keys;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rke_host::audit::AuditError;
use rke_host::exports::{ExportLabels, Exports};
use rke_host::monitored::Monitored;
use rke_host::session_keys::SessionKeys;
use rke_shared_store::key_file::{self, KeyFileError};
use rke_shared_store::{OpenStoreError, Sharing, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::application::{Application, Running, User};
use super::reception::{EndWatcher, Keeper, Reception, ReceptionPolicy};
use super::sharing::{SharedKeys, SharedReception};
use super::{ContentServerError, KeyRing, ServedKeySet};
use crate::audit::{ServerAudit, ServerEvent};
use crate::clock::unix_seconds;
use cut::{Activity, Cut};
use key_set_log::KeySetLog;
use preshared::Overdue;
use record::{ConnectionRecord, Counters};

/// How often the server rereads the key ring and removes expired keys.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// How long connections may go on during a shutdown before they are cut.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// The configuration of a Content Server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The TCP address to listen on.
    pub listen: SocketAddr,
    /// The application behind the tunnel.
    pub application: Application,
    /// What it accepts.
    pub rules: ReceptionPolicy,
    /// How long a connection may be silent in both directions.
    pub idle_timeout: Duration,
    /// The limit on connections; more of them wait.
    pub max_connections: usize,
    /// The limit on running commands. A tunnel over the limit is cut.
    pub max_commands: usize,
    /// The file of its audit log, if it keeps one.
    pub audit_log: Option<PathBuf>,
    /// The labels that keys may be exported with.
    pub allow_export: ExportLabels,
    /// The store that it shares its keys in with other instances, if it does.
    pub sharing: Option<Sharing>,
}

impl ServerConfig {
    /// The defaults, with any free port on the loopback address.
    pub fn new(application: Application) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            application,
            rules: ReceptionPolicy::default(),
            idle_timeout: Duration::from_secs(300),
            max_connections: 1024,
            max_commands: 256,
            audit_log: None,
            allow_export: ExportLabels::default(),
            sharing: None,
        }
    }
}

/// Why a Content Server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        source: io::Error,
    },
    /// The key sets.
    #[error(transparent)]
    Keys(#[from] ContentServerError),
    /// The store that instances share.
    #[error("cannot share keys: {0}")]
    Store(#[from] OpenStoreError),
    /// Its audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The launcher of commands ended while the server was running.
    #[error(
        "the process that starts the commands {0}, so all tunnels are broken off and no command can be \
         started; start the Content Server again"
    )]
    LauncherLost(String),
}

impl ServerError {
    /// Whether another program listens on the address.
    pub(crate) fn is_address_in_use(&self) -> bool {
        matches!(self, Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// A running Content Server. It runs until [`ContentServer::stop`].
pub struct ContentServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    shared: Arc<ServerContext>,
    server: JoinHandle<()>,
}

struct ServerContext {
    reception: SharedReception,
    /// What it shares with other instances.
    sharing: Option<SharedKeys>,
    application: Application,
    /// A permit for each command that may run.
    commands: Arc<Semaphore>,
    limits: Limits,
    counters: Arc<Counters>,
    audit: ServerAudit,
    data_dir: PathBuf,
    exports: Exports,
    overdue: Mutex<Overdue>,
    /// Whether the key sets could be read when they were last read.
    are_key_sets_read: AtomicBool,
    /// In milliseconds.
    idle_timeout: AtomicU64,
    stop: watch::Receiver<bool>,
}

/// How much may run at one time.
struct Limits {
    connections: usize,
    commands: usize,
}

impl ContentServer {
    /// Starts serving from a key ring.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(config: ServerConfig, keys: KeyRing) -> Result<Self, ServerError> {
        Self::start_on(Self::bind(config.listen).await?, config, keys).await
    }

    /// Listens for clients, who wait until they are served. A program with more interfaces opens them all before it starts anything.
    ///
    /// # Errors
    /// [`ServerError::Listen`].
    pub async fn bind(listen: SocketAddr) -> Result<TcpListener, ServerError> {
        TcpListener::bind(listen).await.map_err(|source| ServerError::Listen { address: listen, source })
    }

    /// Like [`ContentServer::start`], with what [`ContentServer::bind`] has opened.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start_on(
        listener: TcpListener,
        config: ServerConfig,
        keys: KeyRing,
    ) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address: config.listen, source };
        let address = listener.local_addr().map_err(failed)?;
        let audit = ServerAudit::open_if_wanted(config.audit_log.as_deref(), keys.data_dir())?;
        let keeper = if config.sharing.is_some() { Keeper::Shared } else { Keeper::Own };
        let rules = ReceptionPolicy { keeper, ..config.rules };
        let reception = Reception::new(rules, keys.sets().to_vec()).with_audit(audit.clone());
        let reception = Arc::new(Mutex::new(reception));
        let sharing = match &config.sharing {
            Some(sharing) => {
                let tags = key_file::read_audit_tags(&sharing.key_file).map_err(OpenStoreError::from)?;
                audit.tag_with(tags);
                Some(share(sharing, &reception).await?)
            }
            None => None,
        };
        let ServerConfig { application, idle_timeout, max_connections, max_commands, allow_export, .. } =
            config;
        let commands = Arc::new(Semaphore::new(max_commands));
        let (stop, stopped) = watch::channel(false);
        let (version, cs_id) = (env!("CARGO_PKG_VERSION"), keys.cs_id().to_string());
        audit.record(ServerEvent::ContentServerStarted { version, cs_id });
        let shared = Arc::new(ServerContext {
            reception,
            sharing,
            application,
            commands,
            limits: Limits { connections: max_connections, commands: max_commands },
            counters: Arc::new(Counters::new(audit.clone())),
            audit,
            data_dir: keys.data_dir().path().into(),
            exports: Exports::new(allow_export),
            overdue: Mutex::default(),
            are_key_sets_read: true.into(),
            idle_timeout: millis(idle_timeout).into(),
            stop: stopped,
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared), keys, stop.clone()));
        tracing::info!(%address, "the Content Server listens");
        Ok(Self { address, stop, shared, server })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of stored session keys.
    pub fn keys(&self) -> usize {
        self.shared.reception().len()
    }

    /// The keys of its sessions, for an application that uses them.
    pub fn session_keys(&self) -> Arc<dyn SessionKeys> {
        Arc::clone(&self.shared) as Arc<dyn SessionKeys>
    }

    /// What it shows to those who monitor it.
    pub fn monitored(&self) -> Arc<dyn Monitored> {
        Arc::clone(&self.shared) as Arc<dyn Monitored>
    }

    /// Replaces the rules, except the number of remembered handshakes, and how long a connection may be silent. Keys and
    /// connections stay.
    pub fn reload(&self, rules: ReceptionPolicy, idle_timeout: Duration) {
        self.shared.reception().set_rules(rules);
        self.shared.idle_timeout.store(millis(idle_timeout), Ordering::Relaxed);
    }

    /// Reopens the audit log's file. Call it after the file was moved away.
    pub fn reopen_audit_log(&self) {
        self.shared.audit.reopen();
    }

    /// Ends all sessions: wipes their keys and resumptions, and cuts their connections, on all instances that share them. Returns how
    /// many sessions there were.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left.
    pub async fn drop_sessions(&self) -> Result<usize, StoreError> {
        match &self.shared.sharing {
            Some(sharing) => sharing.drop_all().await,
            None => Ok(self.shared.reception().drop_all(unix_seconds())),
        }
    }

    /// Reads the key file of the store again, if there is one.
    ///
    /// # Errors
    /// [`KeyFileError`]; then the keys are the ones from before.
    pub fn reload_store_keys(&self) -> Result<(), KeyFileError> {
        if let Some(sharing) = &self.shared.sharing {
            self.shared.audit.tag_with(sharing.reload_keys()?);
        }
        Ok(())
    }

    /// Allows keys to be exported with these labels only.
    pub fn allow_exports(&self, labels: ExportLabels) {
        self.shared.exports.set_labels(labels);
    }

    /// Waits until it can no longer serve, and returns the reason. By then its tunnels are being cut.
    pub async fn wait_for_failure(&self) -> ServerError {
        ServerError::LauncherLost(self.shared.application.wait_for_launcher_exit().await)
    }

    /// Shuts down within a second: cuts connections, kills commands, and wipes all keys.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}

async fn serve(
    listener: TcpListener,
    shared: Arc<ServerContext>,
    mut keys: KeyRing,
    stop_all: watch::Sender<bool>,
) {
    let room = Arc::new(Semaphore::new(shared.limits.connections));
    let mut connections = JoinSet::new();
    let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
    let mut key_set_log = KeySetLog::new(shared.audit.clone());
    let mut stop = shared.stop.clone();
    let mut lost = pin!(shared.application.wait_for_launcher_exit());
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            _ = stop.changed() => break,
            _ = &mut lost => {
                stop_all.send_replace(true);
                break;
            }
            _ = refresh.tick() => {
                shared.refresh(&mut keys, &mut key_set_log);
                ask_store(&shared, keys.sets());
            }
            Some(_) = connections.join_next() => (),
            (accepted, permit) = accept => match accepted {
                Ok((stream, peer)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        let mut record = ConnectionRecord::new(&shared.counters, peer);
                        let ended = connection::serve(stream, &shared, &mut record).await;
                        record.end(ended);
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(STOP_TIMEOUT, finish).await;
    connections.shutdown().await;
    let sessions_ended = {
        let mut reception = shared.reception();
        let sessions = reception.len();
        reception.clear();
        sessions
    };
    let audit = shared.audit.clone();
    audit.record(ServerEvent::ContentServerStopped { sessions_ended });
    let _ = spawn_blocking(move || audit.close()).await;
}

/// Joins the instances that share a store.
async fn share(sharing: &Sharing, reception: &SharedReception) -> Result<SharedKeys, ServerError> {
    let (shared, warnings) = SharedKeys::open(sharing, Arc::clone(reception)).await?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(shared)
}

/// Asks the store how it is doing, without waiting for its response.
fn ask_store(shared: &Arc<ServerContext>, sets: &[ServedKeySet]) {
    if shared.sharing.is_some() {
        let (shared, sets) = (Arc::clone(shared), sets.to_vec());
        tokio::spawn(async move {
            if let Some(sharing) = &shared.sharing {
                sharing.refresh(&sets).await;
            }
        });
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

impl ServerContext {
    /// How long a connection may be silent in both directions.
    fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout.load(Ordering::Relaxed))
    }

    fn reception(&self) -> MutexGuard<'_, Reception> {
        self.reception.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn overdue(&self) -> MutexGuard<'_, Overdue> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the application for a client, unless its connection is cut meanwhile.
    async fn start_application(
        &self,
        user: &User,
        activity: &Activity<'_>,
        watcher: &mut EndWatcher,
    ) -> Result<Running, Cut> {
        tokio::select! {
            biased;
            cut = activity.wait_for_cut(watcher) => Err(cut),
            started = self.application.start(user, &self.commands) => started.map_err(|error| {
                tracing::error!(%error, "the application could not be started");
                Cut::from(error)
            }),
        }
    }

    fn refresh(&self, keys: &mut KeyRing, log: &mut KeySetLog) {
        let (refreshed, now) = (keys.refresh(), unix_seconds());
        let was_read = self.are_key_sets_read.swap(refreshed.is_ok(), Ordering::Relaxed);
        match refreshed {
            Ok(()) => {
                if !was_read {
                    tracing::info!("the key sets can be read again");
                }
                log.note(keys.sets(), now);
                self.reception().set_key_sets(keys.sets().to_vec());
            }
            // Once, not each second.
            Err(error) if was_read => tracing::error!(%error, "the key sets cannot be read"),
            Err(_) => (),
        }
        self.reception().sweep(now);
        self.report_late_keys();
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn invalid_data(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
