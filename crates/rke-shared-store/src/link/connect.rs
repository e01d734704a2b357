//! How a connection is made: to one primary, through Sentinels, or to a cluster. Each attempt is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection, SendError};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::AsyncDNSResolver;
use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    RedisFuture, RedisResult, TlsMode, Value,
};

use super::address::{Addresses, Deployment, check_reach, is_this_machine};
use super::diagnosis::diagnose;
use crate::error::Outage;

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
) -> Result<Connection, Outage> {
    let mut outage =
        Outage::NotConnected(infos.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(", "));
    for info in infos {
        match connect_by(addresses, infos, info, pushes, channel).await {
            Ok(connection) => return Ok(connection),
            Err(Outage::NotConnected(_)) => (),
            Err(says_more) => outage = says_more,
        }
    }
    Err(outage)
}

/// The same with the help of one of the addresses.
async fn connect_by(
    addresses: &Addresses,
    infos: &[ConnectionInfo],
    info: &ConnectionInfo,
    pushes: &Pushes,
    channel: &[u8],
) -> Result<Connection, Outage> {
    match &addresses.deployment {
        Deployment::Single => {
            diagnosed(info, connect_to(info, pushes, channel)).await.map(Connection::Single)
        }
        Deployment::Sentinel(name) => {
            let found = diagnosed(info, find_primary(info, name)).await?;
            let primary = found.get_connection_info();
            check_reach(primary.addr()).map_err(|_| Outage::NamesBeyond(primary.addr().to_string()))?;
            diagnosed(primary, connect_to(primary, pushes, channel)).await.map(Connection::Single)
        }
        Deployment::Cluster => {
            // A cluster's own connection does not say why it fails, and follows its members wherever they say that they are.
            let members = diagnosed(info, members(info, pushes)).await?;
            let beyond = members.into_iter().find(|host| !has_tls(infos) && !is_this_machine(host));
            if let Some(beyond) = beyond {
                return Err(Outage::NamesBeyond(beyond));
            }
            diagnosed(info, connect_to_cluster(infos, pushes, channel)).await.map(Connection::Cluster)
        }
    }
}

/// The result of an attempt to reach this address, or what kept it from being reached.
async fn diagnosed<T>(
    info: &ConnectionInfo,
    attempt: impl Future<Output = RedisResult<T>>,
) -> Result<T, Outage> {
    match attempt.await {
        Ok(result) => Ok(result),
        Err(error) => Err(diagnose(&error, info).await),
    }
}

async fn connect_to(
    info: &ConnectionInfo,
    pushes: &Pushes,
    channel: &[u8],
) -> RedisResult<MultiplexedConnection> {
    let mut connection = open(info, pushes).await?;
    connection.subscribe(channel).await?;
    Ok(connection)
}

async fn open(info: &ConnectionInfo, pushes: &Pushes) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT))
        .set_push_sender(forward(pushes));
    Client::open(info.clone())?.get_multiplexed_async_connection_with_config(&config).await
}

async fn connect_to_cluster(
    infos: &[ConnectionInfo],
    pushes: &Pushes,
    channel: &[u8],
) -> RedisResult<ClusterConnection> {
    let mut builder = ClusterClientBuilder::new(infos.to_vec())
        .retries(1)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(CONNECT_TIMEOUT)
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(forward(pushes));
    if !has_tls(infos) {
        builder = builder.async_dns_resolver(ThisMachine);
    }
    let mut connection = builder.build()?.get_async_connection().await?;
    connection.subscribe(channel).await?;
    Ok(connection)
}

/// The hosts that a cluster's member names as members. One that does not know its own address leaves it out.
async fn members(info: &ConnectionInfo, pushes: &Pushes) -> RedisResult<Vec<String>> {
    let mut connection = open(info, pushes).await?;
    let slots = redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await?;
    let parts = |value: Value| match value {
        Value::Array(parts) => parts,
        _ => Vec::new(),
    };
    // Each range has two numbers and then its members: host, port, and more.
    let members = parts(slots).into_iter().flat_map(|range| parts(range).into_iter().skip(2));
    let hosts = members.filter_map(|member| match parts(member).into_iter().next() {
        Some(Value::BulkString(host)) => Some(String::from_utf8_lossy(&host).into_owned()),
        _ => None,
    });
    Ok(hosts.filter(|host| !host.is_empty() && host != "?").collect())
}

/// Finds the addresses of members that are on this machine, and of no others: a cluster without TLS may name some later too.
pub(super) struct ThisMachine;

impl AsyncDNSResolver for ThisMachine {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            let local: Vec<_> = found.filter(|address| address.ip().is_loopback()).collect();
            Ok(Box::new(local.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

fn has_tls(infos: &[ConnectionInfo]) -> bool {
    infos.iter().any(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
}

/// Asks a Sentinel. The primary is reached in the same way as it is.
async fn find_primary(info: &ConnectionInfo, name: &str) -> RedisResult<Client> {
    let mut sentinel = Sentinel::build(vec![info.clone()])?;
    let mut node =
        SentinelNodeConnectionInfo::default().set_redis_connection_info(info.redis_settings().clone());
    if has_tls(std::slice::from_ref(info)) {
        node = node.set_tls_mode(TlsMode::Secure);
    }
    sentinel.async_master_for(name, Some(&node)).await
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
