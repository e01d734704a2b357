//! How a connection is made: to one primary, through Sentinels, or to a cluster. Each attempt is bounded.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection, SendError};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    RedisError, RedisFuture, RedisResult, TlsMode, Value,
};

use super::address::{Addresses, Deployment, check_reach};

/// The longest that one attempt to connect takes.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);

/// Receives what the store announces.
pub(super) type Pushes = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// A connection that many requests share.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Connects, and subscribes to the channel.
pub(super) async fn connect(
    addresses: &Addresses,
    infos: &[ConnectionInfo],
    pushes: &Pushes,
    channel: &[u8],
) -> RedisResult<Connection> {
    match &addresses.deployment {
        Deployment::Single => connect_to_first(infos, pushes, channel).await,
        Deployment::Sentinel(name) => {
            let primary = find_primary(infos, name).await?;
            connect_to(primary, pushes, channel).await
        }
        Deployment::Cluster => {
            let client = ClusterClientBuilder::new(infos.to_vec())
                .retries(1)
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(CONNECT_TIMEOUT)
                .use_protocol(ProtocolVersion::RESP3)
                .push_sender(forward(pushes))
                .build()?;
            let mut connection = client.get_async_connection().await?;
            connection.subscribe(channel).await?;
            Ok(Connection::Cluster(connection))
        }
    }
}

/// Connects to the first that responds.
async fn connect_to_first(
    infos: &[ConnectionInfo],
    pushes: &Pushes,
    channel: &[u8],
) -> RedisResult<Connection> {
    let mut failed = None;
    for info in infos {
        match connect_to(Client::open(info.clone())?, pushes, channel).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into()))
}

async fn connect_to(client: Client, pushes: &Pushes, channel: &[u8]) -> RedisResult<Connection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT))
        .set_push_sender(forward(pushes));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    connection.subscribe(channel).await?;
    Ok(Connection::Single(connection))
}

/// Asks the Sentinels. The primary is reached in the same way as they are.
async fn find_primary(infos: &[ConnectionInfo], name: &str) -> RedisResult<Client> {
    let mut sentinel = Sentinel::build(infos.to_vec())?;
    let has_tls = infos.iter().any(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }));
    let mut node = SentinelNodeConnectionInfo::default();
    if has_tls {
        node = node.set_tls_mode(TlsMode::Secure);
    }
    if let Some(info) = infos.first() {
        node = node.set_redis_connection_info(info.redis_settings().clone());
    }
    let client = sentinel.async_master_for(name, Some(&node)).await?;
    check_reach(client.get_connection_info().addr())
        .map_err(|error| RedisError::from(std::io::Error::other(error)))?;
    Ok(client)
}

/// Hands pushed messages on.
fn forward(pushes: &Pushes) -> impl AsyncPushSender + use<> {
    let pushes = Arc::clone(pushes);
    move |push: PushInfo| -> Result<(), SendError> {
        pushes(push);
        Ok(())
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
