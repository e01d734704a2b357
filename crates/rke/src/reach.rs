//! Reaches the servers of a domain from this machine, for `rke doctor` and `rke ping`. It uses no coin and no key.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rke_engine::contact::server::ContactError;
use rke_engine::discovery::Discovery;
use rke_engine::model::server_name::ServerName;
use rke_host::echo::{self, EchoOutcome};
use rke_proto::RaidaIndex;
use rke_proto::records::KeySet;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::look_up::in_words;

/// How long a Content Server may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Sends an echo to each RAIDA of a key set, all at once. Returns the outcomes in the order of the RAIDAs.
pub(crate) async fn raidas(set: &KeySet) -> Vec<(RaidaIndex, SocketAddr, EchoOutcome)> {
    let mut asked = JoinSet::new();
    for (raida, endpoint) in set.servers.iter().copied() {
        asked.spawn(async move { (raida, endpoint, echo::probe(raida, endpoint).await) });
    }
    let mut outcomes = asked.join_all().await;
    outcomes.sort_by_key(|(raida, ..)| *raida);
    outcomes
}

/// How long a Content Server took to accept a connection, or why it did not accept one.
///
/// # Errors
/// [`Elapsed`] if it does not respond in time.
pub(crate) async fn content_server(
    discovery: &Discovery,
    server: &ServerName,
) -> Result<Result<Duration, String>, Elapsed> {
    timeout(CONNECT_PATIENCE, connect(discovery, server)).await
}

async fn connect(discovery: &Discovery, server: &ServerName) -> Result<Duration, String> {
    let addresses = discovery.addresses(&server.host, server.port).await.map_err(|error| in_words(&error))?;
    let began = Instant::now();
    let refused = |error: io::Error| ContactError::from(error).to_string();
    TcpStream::connect(addresses.as_slice()).await.map_err(refused)?;
    Ok(began.elapsed())
}
