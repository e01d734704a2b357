//! A RAIDA node: a [`Responder`] behind a UDP socket.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rke_host::wallet::{CoinFile, CoinFileReadError, all_coin_files};
use rke_proto::RaidaIndex;
use rke_proto::coin::{AN_LEN, CoinId};
use rke_proto::header::NONCE_LEN;
use rke_secret::{Secret, SecretBuffer, SecretError, fill_random};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use zeroize::Zeroize;

use crate::answers;
use crate::clock::unix_seconds;
use crate::key_sets::{KeySets, KeySetsError};
use crate::responder::{Arrival, Responder, Rules};

/// Longer datagrams than this are cut, and so refused for their length: 255 key sets fit.
const MAX_REQUEST_LEN: usize = 16 * 1024;

/// What a node is told.
pub struct NodeConfig {
    /// Which RAIDA it is.
    pub raida: RaidaIndex,
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// Folders of coin files from which it takes its own AN of each coin.
    pub coin_folders: Vec<PathBuf>,
    /// Where its master secrets are kept, sealed.
    pub data_dir: PathBuf,
    /// What its operator decides.
    pub rules: Rules,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address.
    #[error("RAIDA {raida} cannot listen on {address} (UDP): {source}")]
    Bind {
        /// Which RAIDA.
        raida: RaidaIndex,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No coin is known to it.
    #[error("RAIDA {raida} found no usable coin file in {folders}; name a folder of .bin files with --coins")]
    NoCoins {
        /// Which RAIDA.
        raida: RaidaIndex,
        /// Where it looked.
        folders: String,
    },
    /// What it has kept of its master secrets.
    #[error(transparent)]
    KeySets(#[from] KeySetsError),
    /// There is no secret memory left.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Datagrams that are taken in, at most, before the scratch stack is wiped and answers are sent.
const AT_ONCE: usize = 16;

/// A running node. Dropping it stops it.
pub struct Node {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let NodeConfig { raida, listen, .. } = config;
        let bind_error = |source| NodeError::Bind { raida, address: listen, source };
        let socket = UdpSocket::bind(listen).await.map_err(bind_error)?;
        let address = socket.local_addr().map_err(bind_error)?;
        let ans = read_ans(raida, &config.coin_folders)?;
        let key_sets = KeySets::open(raida, &config.data_dir)?;
        tracing::info!(%raida, %address, coins = ans.len(), key_sets = key_sets.len(), "node listens");
        let responder = Responder::new(raida, ans, config.rules, key_sets);
        let buffer = SecretBuffer::new(MAX_REQUEST_LEN)?;
        Ok(Self { address, task: spawn(socket, buffer, responder) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it; its secrets are wiped when this returns.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Has the node answer. A plain function: the code of an async one is made where its future is polled or spawned,
/// with the `opt-level` of that crate, and answers are to be made as quick as this crate is.
#[inline(never)]
fn spawn(socket: UdpSocket, buffer: SecretBuffer, responder: Responder) -> JoinHandle<()> {
    tokio::spawn(serve(socket, buffer, responder))
}

async fn serve(socket: UdpSocket, mut buffer: SecretBuffer, mut responder: Responder) {
    let mut answers = Vec::with_capacity(AT_ONCE);
    loop {
        if let Err(error) = socket.readable().await {
            tracing::error!(%error, "a node's socket is broken, the node ends");
            return;
        }
        // A preload carries master secrets, which are decrypted where the datagram lies.
        buffer.expose_mut(|buffer| {
            for _ in 0..AT_ONCE {
                // There is no other, or an earlier answer could not be delivered: then there will be a next time.
                let Ok((len, peer)) = socket.try_recv_from(buffer) else { break };
                let answer = answer(&mut responder, peer, &mut buffer[..len]);
                buffer[..len].zeroize();
                answers.extend(answer.map(|answer| (answer, peer)));
            }
        });
        // Together: who waits for several is busy with the first while the next ones come.
        answers::send(&socket, &answers);
        answers.clear();
    }
}

fn answer(responder: &mut Responder, peer: SocketAddr, datagram: &mut [u8]) -> Option<Vec<u8>> {
    let mut random = [0; NONCE_LEN];
    if let Err(error) = fill_random(&mut random) {
        tracing::error!(%error, "no random bytes, a request stays unanswered");
        return None;
    }
    responder.answer(Arrival { peer: peer.ip(), now: unix_seconds(), random }, datagram)
}

fn read_ans(raida: RaidaIndex, folders: &[PathBuf]) -> Result<HashMap<CoinId, Secret<AN_LEN>>, NodeError> {
    let mut ans = HashMap::new();
    for file in folders.iter().flat_map(|folder| all_coin_files(folder)) {
        if let Err(error) = read_coin_file(raida, &file, &mut ans) {
            tracing::warn!(file = %file.display(), %error, "skipped a coin file");
        }
    }
    if ans.is_empty() {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(NodeError::NoCoins { raida, folders: folders.join(", ") });
    }
    Ok(ans)
}

fn read_coin_file(
    raida: RaidaIndex,
    path: &std::path::Path,
    ans: &mut HashMap<CoinId, Secret<AN_LEN>>,
) -> Result<(), CoinFileReadError> {
    let file = CoinFile::open(path)?;
    for at in 0..file.coins() {
        ans.insert(file.coin_id(at)?, file.an(at, raida)?);
    }
    Ok(())
}
