//! A RAIDA node: a [`Responder`] behind UDP sockets.

mod coins;
mod sockets;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rke_proto::RaidaIndex;
use rke_proto::header::NONCE_LEN;
use rke_secret::{SecretBuffer, SecretError, fill_random};
use tokio::task::JoinSet;
use zeroize::Zeroize;

use self::coins::Coins;
pub use self::coins::UnusableCoins;
use self::sockets::NodeSocket;
use crate::clock::unix_seconds;
use crate::key_sets::{KeySets, KeySetsError};
use crate::responder::{Ans, Arrival, Responder, Rules};

/// Longer datagrams than this are cut, and so refused for their length: 255 key sets fit.
const MAX_REQUEST_LEN: usize = 16 * 1024;

/// What a node is told.
pub struct NodeConfig {
    /// Which RAIDA it is.
    pub raida: RaidaIndex,
    /// Where it listens (UDP). `[::]` takes IPv4 too.
    pub listen: SocketAddr,
    /// How many sockets receive there, each by itself: one for each processor makes use of all. At
    /// least one.
    pub receivers: usize,
    /// Folders of coin files from which it takes its own AN of each coin.
    pub coin_folders: Vec<PathBuf>,
    /// Where its master secrets are kept, sealed.
    pub data_dir: PathBuf,
    /// What its operator decides.
    pub rules: Rules,
}

/// Why a node cannot start, or does not go on with other coins.
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
    /// A node that runs keeps the coins that it knows.
    #[error("{0}; correct or remove it, then send SIGHUP again")]
    Unusable(#[from] UnusableCoins),
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
    raida: RaidaIndex,
    address: SocketAddr,
    responder: Arc<Responder>,
    receivers: JoinSet<()>,
}

impl Node {
    /// Starts a node. Coin files that cannot be used are left out, with a line in the log.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let NodeConfig { raida, listen, receivers, .. } = config;
        let bind_error = |source| NodeError::Bind { raida, address: listen, source };
        let sockets = NodeSocket::open_all(listen, receivers).map_err(bind_error)?;
        let address = sockets[0].address().map_err(bind_error)?;
        let Coins { ans, unusable } = Coins::read(raida, &config.coin_folders);
        for UnusableCoins { path, reason } in unusable {
            tracing::warn!(file = %path.display(), %reason, "skipped a coin file");
        }
        let ans = at_least_one(raida, ans, &config.coin_folders)?;
        let key_sets = KeySets::open(raida, &config.data_dir)?;
        tracing::info!(%raida, %address, coins = ans.len(), key_sets = key_sets.len(), "node listens");
        let responder = Arc::new(Responder::new(raida, ans, config.rules, key_sets));
        let mut receivers = JoinSet::new();
        for socket in sockets {
            let buffer = SecretBuffer::new(MAX_REQUEST_LEN)?;
            spawn(&mut receivers, socket, buffer, Arc::clone(&responder));
        }
        Ok(Self { raida, address, responder, receivers })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes on with the coins that these folders have now, and by these rules, except that it remembers as many requests as
    /// before. Gives how many coins it knows. Blocks on the file system.
    ///
    /// # Errors
    /// [`NodeError`], also for a coin file that cannot be used; then it knows the coins that it knew, and goes by its old
    /// rules.
    pub fn reload(&self, coin_folders: &[PathBuf], rules: Rules) -> Result<usize, NodeError> {
        let Coins { ans, unusable } = Coins::read(self.raida, coin_folders);
        if let Some(unusable) = unusable.into_iter().next() {
            return Err(unusable.into());
        }
        let ans = at_least_one(self.raida, ans, coin_folders)?;
        let coins = ans.len();
        self.responder.change(ans, rules);
        Ok(coins)
    }

    /// Stops it; its secrets are wiped when this returns.
    pub async fn stop(mut self) {
        self.receivers.shutdown().await;
    }
}

/// The coins, where there are any.
fn at_least_one(raida: RaidaIndex, ans: Ans, folders: &[PathBuf]) -> Result<Ans, NodeError> {
    if ans.is_empty() {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(NodeError::NoCoins { raida, folders: folders.join(", ") });
    }
    Ok(ans)
}

/// Has one more socket answered. A plain function: the code of an async one is made where its future is polled or spawned,
/// with the `opt-level` of that crate, and answers are to be made as quick as this crate is.
#[inline(never)]
fn spawn(receivers: &mut JoinSet<()>, socket: NodeSocket, buffer: SecretBuffer, responder: Arc<Responder>) {
    receivers.spawn(serve(socket, buffer, responder));
}

async fn serve(socket: NodeSocket, mut buffer: SecretBuffer, responder: Arc<Responder>) {
    let mut answers = Vec::with_capacity(AT_ONCE);
    loop {
        if let Err(error) = socket.readable().await {
            tracing::error!(%error, "a node's socket is broken and is no longer read");
            return;
        }
        // A preload carries master secrets, which are decrypted where the datagram lies.
        buffer.expose_mut(|buffer| {
            for _ in 0..AT_ONCE {
                // There is no other, or an earlier answer could not be delivered: then there will be a next time.
                let Ok((len, asked)) = socket.receive(buffer) else { break };
                let answer = answer(&responder, asked.peer(), &mut buffer[..len]);
                buffer[..len].zeroize();
                answers.extend(answer.map(|answer| (answer, asked)));
            }
        });
        // Together: who waits for several is busy with the first while the next ones come.
        socket.send(&answers);
        answers.clear();
    }
}

fn answer(responder: &Responder, peer: IpAddr, datagram: &mut [u8]) -> Option<Vec<u8>> {
    let mut random = [0; NONCE_LEN];
    if let Err(error) = fill_random(&mut random) {
        tracing::error!(%error, "no random bytes, a request stays unanswered");
        return None;
    }
    responder.answer(Arrival { peer, now: unix_seconds(), random }, datagram)
}

#[cfg(test)]
mod tests;
