//! A RAIDA node: a [`Responder`] behind UDP sockets.

mod coins;
mod monitor;
mod sockets;
mod watch;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rke_host::audit::AuditError;
use rke_host::monitored::Monitored;
use rke_proto::RaidaIndex;
use rke_proto::header::NONCE_LEN;
use rke_secret::{SecretBuffer, SecretError, fill_random};
use tokio::task::{JoinSet, spawn_blocking};
use zeroize::Zeroize;

use self::coins::Coins;
pub use self::coins::UnusableCoins;
use self::monitor::NodeMonitor;
use self::sockets::NodeSocket;
pub use self::watch::CoinWatch;
use crate::audit::{NodeAudit, NodeEvent};
use crate::clock::unix_seconds;
use crate::key_sets::{KeySets, KeySetsError};
use crate::responder::{Ans, Arrival, NodePolicy, Responder};

/// Longer datagrams are truncated, and therefore refused for their length. 255 key sets fit.
const MAX_REQUEST_LEN: usize = 16 * 1024;

/// The configuration of a node.
pub struct NodeConfig {
    pub raida: RaidaIndex,
    /// The UDP address to listen on. `[::]` accepts IPv4 too.
    pub listen: SocketAddr,
    /// The number of sockets that receive independently: one for each processor uses all of them. At least one.
    pub receivers: usize,
    /// Folders of coin files from which it takes its own AN of each coin.
    pub coin_folders: Vec<PathBuf>,
    /// The folder for its sealed master secrets.
    pub data_dir: PathBuf,
    /// What its operator decides.
    pub rules: NodePolicy,
    /// The file of its audit log, if it keeps one.
    pub audit_log: Option<PathBuf>,
}

/// Why a node cannot start, or cannot reload its coins.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address cannot be used.
    #[error("RAIDA {raida} cannot listen on {address} (UDP): {source}; choose another address with --listen")]
    Bind { raida: RaidaIndex, address: SocketAddr, source: io::Error },
    /// It knows no coin.
    #[error("RAIDA {raida} found no usable coin file in {folders}; name a folder of .bin files with --coins")]
    NoCoins {
        raida: RaidaIndex,
        /// The folders that it read.
        folders: String,
    },
    /// A running node keeps the coins that it knows.
    #[error("{0}; correct or remove it, then send SIGHUP again")]
    Unusable(#[from] UnusableCoins),
    /// Its stored master secrets cannot be used.
    #[error(transparent)]
    KeySets(#[from] KeySetsError),
    /// Its audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Secret memory is full.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What a node knows of coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoinCount {
    /// The coins.
    pub coins: usize,
    /// Their files that have the ANs of other RAIDAs too, which the node does not need.
    pub files_with_others: usize,
}

/// The limit on datagrams that are handled before the scratch stack is wiped and the batch is sent.
const AT_ONCE: usize = 16;

/// A running node. Dropping it stops it.
pub struct Node {
    raida: RaidaIndex,
    address: SocketAddr,
    coins: CoinCount,
    monitor: Arc<NodeMonitor>,
    receivers: JoinSet<()>,
}

impl Node {
    /// Starts a node. Unusable coin files are skipped, with a line in the log.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let NodeConfig { raida, listen, receivers, .. } = config;
        let bind_error = |source| NodeError::Bind { raida, address: listen, source };
        let sockets = NodeSocket::open_all(listen, receivers).map_err(bind_error)?;
        let address = sockets[0].address().map_err(bind_error)?;
        let read = Coins::read(raida, &config.coin_folders);
        read.log_unusable();
        let (coins, unusable_coins) = (read.count(), read.unusable.len().into());
        let ans = at_least_one(raida, read.ans, &config.coin_folders)?;
        let key_sets = KeySets::open(raida, &config.data_dir)?;
        let key_set_count = key_sets.len();
        let audit = NodeAudit::open_if_wanted(config.audit_log.as_deref(), key_sets.data_dir())?;
        let responder = Arc::new(Responder::new(raida, ans, config.rules, key_sets).with_audit(audit));
        let (data_dir, broken_sockets) = (config.data_dir, Arc::default());
        let monitor = Arc::new(NodeMonitor { responder, data_dir, broken_sockets, unusable_coins });
        let mut receivers = JoinSet::new();
        for socket in sockets {
            let buffer = SecretBuffer::new(MAX_REQUEST_LEN)?;
            spawn(&mut receivers, socket, buffer, &monitor);
        }
        let (version, raida_number) = (env!("CARGO_PKG_VERSION"), raida.get());
        let started = NodeEvent::NodeStarted { version, raida: raida_number, coins: coins.coins };
        monitor.responder.audit().record(started);
        tracing::info!(%raida, %address, coins = coins.coins, key_sets = key_set_count, "node listens");
        Ok(Self { raida, address, coins, monitor, receivers })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The coins that it was started with.
    pub fn coins(&self) -> CoinCount {
        self.coins
    }

    /// Reads the coins as a start or a reload would. Blocks on the file system.
    ///
    /// # Errors
    /// [`NodeError`], also for an unusable coin file.
    pub fn check_coins(raida: RaidaIndex, coin_folders: &[PathBuf]) -> Result<(), NodeError> {
        let (ans, _) = read_all(raida, coin_folders)?;
        at_least_one(raida, ans, coin_folders).map(drop)
    }

    /// What it shows to those who monitor it.
    pub fn monitored(&self) -> Arc<dyn Monitored> {
        Arc::clone(&self.monitor) as Arc<dyn Monitored>
    }

    fn responder(&self) -> &Responder {
        &self.monitor.responder
    }

    /// Replaces the coins by those that the folders hold now, and the policy, except the number of requests that it
    /// remembers. Blocks on the file system.
    ///
    /// # Errors
    /// [`NodeError`], also for an unusable coin file; then its coins and its policy are unchanged.
    pub fn reload(&self, coin_folders: &[PathBuf], rules: NodePolicy) -> Result<CoinCount, NodeError> {
        let (ans, count) = read_all(self.raida, coin_folders)?;
        self.monitor.unusable_coins.store(0, Ordering::Relaxed);
        self.responder().change(at_least_one(self.raida, ans, coin_folders)?, rules);
        Ok(count)
    }

    /// Takes the coins that the folders hold now. Unusable files and folders are skipped, with a line in the log: they
    /// keep no new coin away, and while there are any, no coin is forgotten. Blocks on the file system.
    ///
    /// # Errors
    /// [`NodeError`], if the folders hold no coin; then its coins are unchanged.
    pub fn reload_coins(&self, coin_folders: &[PathBuf]) -> Result<CoinCount, NodeError> {
        let read = Coins::read(self.raida, coin_folders);
        read.log_unusable();
        let count = read.count();
        self.monitor.unusable_coins.store(read.unusable.len(), Ordering::Relaxed);
        if !read.unusable.is_empty() {
            tracing::warn!("until these files can be used or are removed, the node forgets no coin");
            return Ok(CoinCount { coins: self.responder().add_coins(read.ans)?, ..count });
        }
        self.responder().change_coins(at_least_one(self.raida, read.ans, coin_folders)?);
        Ok(count)
    }

    /// Reopens the audit log's file. Call it after the file was moved away.
    pub fn reopen_audit_log(&self) {
        self.responder().audit().reopen();
    }

    /// Stops it; its secrets are wiped, and its audit log is written, when this returns.
    pub async fn stop(mut self) {
        self.receivers.shutdown().await;
        let audit = self.responder().audit().clone();
        audit.record(NodeEvent::NodeStopped);
        drop(self);
        let _ = spawn_blocking(move || audit.close()).await;
    }
}

/// All coins of the folders, of which each file must be usable.
fn read_all(raida: RaidaIndex, folders: &[PathBuf]) -> Result<(Ans, CoinCount), NodeError> {
    let read = Coins::read(raida, folders);
    let count = read.count();
    match read.unusable.into_iter().next() {
        Some(unusable) => Err(unusable.into()),
        None => Ok((read.ans, count)),
    }
}

/// The coins, or an error if the node has none.
fn at_least_one(raida: RaidaIndex, ans: Ans, folders: &[PathBuf]) -> Result<Ans, NodeError> {
    if ans.is_empty() {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(NodeError::NoCoins { raida, folders: folders.join(", ") });
    }
    Ok(ans)
}

/// Starts serving one more socket. Not an async function: the code of those is generated in the crate that polls or
/// spawns the future, with that crate's `opt-level`, and responding should run at the speed of this crate.
#[inline(never)]
fn spawn(receivers: &mut JoinSet<()>, socket: NodeSocket, buffer: SecretBuffer, node: &NodeMonitor) {
    let (responder, broken) = (Arc::clone(&node.responder), Arc::clone(&node.broken_sockets));
    receivers.spawn(serve(socket, buffer, responder, broken));
}

async fn serve(
    socket: NodeSocket,
    mut buffer: SecretBuffer,
    responder: Arc<Responder>,
    broken: Arc<AtomicUsize>,
) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    loop {
        if let Err(error) = socket.readable().await {
            broken.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "a node's socket is broken and is no longer read");
            return;
        }
        // A preload carries master secrets, which are decrypted in place in this buffer.
        buffer.expose_mut(|buffer| {
            for _ in 0..AT_ONCE {
                // The socket is empty, or an earlier response could not be delivered; then the next turn continues.
                let Ok((len, to)) = socket.receive(buffer) else { break };
                let response = respond(&responder, to.peer(), &mut buffer[..len]);
                buffer[..len].zeroize();
                batch.extend(response.map(|response| (response, to)));
            }
        });
        // In one batch: otherwise a client that waits for several responses handles the first while the next are
        // still being made.
        socket.send_batch(&batch);
        batch.clear();
    }
}

fn respond(responder: &Responder, peer: IpAddr, datagram: &mut [u8]) -> Option<Vec<u8>> {
    let mut random = [0; NONCE_LEN];
    if let Err(error) = fill_random(&mut random) {
        tracing::error!(%error, "no random bytes, a request stays unanswered");
        return None;
    }
    responder.respond(Arrival { peer, now: unix_seconds(), random }, datagram)
}

#[cfg(test)]
mod tests;
