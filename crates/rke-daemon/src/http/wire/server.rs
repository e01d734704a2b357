//! Accepts connections. Their number is limited, and so is the time of each.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection_task::{ConnectionTask, HEADER_TIMEOUT};
use super::unix_socket::Guard;
use crate::http::fast::dispatcher::Dispatcher;
use crate::http::gate::caller::{Caller, Way};
use crate::http::gate::crowd::{Crowd, Place};
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::telemetry::traffic::{OpenConnection, Traffic};
use crate::tls::Acceptor;

/// The most connections at one time through one door. More wait to be accepted.
const MAX_CONNECTIONS: u64 = 2048;

/// How long requests may go on once the daemon has been told to stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// A way in. Each door has its own connections, so a crowd at one door leaves the others free.
pub enum Door {
    /// Plain TCP.
    Tcp(TcpListener),
    /// TCP with TLS.
    Tls(TcpListener, Arc<Acceptor>),
    /// A Unix socket, for the users that its guard admits.
    Unix(UnixListener, Guard),
}

/// A client that has just connected.
enum Arrival {
    Tcp(TcpStream, IpAddr),
    Tls(TcpStream, IpAddr, TlsAcceptor),
    Unix(UnixStream, Guard),
}

/// An accepted connection, and what is needed to serve it.
struct Accepted {
    arrival: Arrival,
    dispatcher: Arc<Dispatcher>,
    place: Arc<Place>,
    body_timeout: BodyTimeout,
    stop: watch::Receiver<bool>,
}

impl Door {
    async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(stream, from)| Arrival::Tcp(stream, from.ip()))
            }
            Self::Tls(listener, acceptor) => {
                let (stream, from) = listener.accept().await?;
                Ok(Arrival::Tls(stream, from.ip(), acceptor.current()))
            }
            Self::Unix(listener, guard) => {
                listener.accept().await.map(|(stream, _)| Arrival::Unix(stream, *guard))
            }
        }
    }
}

/// Serves until `stop` changes, then lets running requests finish for half a second.
pub async fn serve(
    door: Door,
    dispatcher: Arc<Dispatcher>,
    traffic: Arc<Traffic>,
    body_timeout: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let most = most_connections();
    let (room, crowd) = (Arc::new(Semaphore::new(most)), Crowd::new(most));
    let mut connections = Connections::default();
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (door.accept().await, permit)
        };
        tokio::select! {
            _ = stop.changed() => break,
            () = connections.one_ends() => (),
            (accepted, permit) = accept => match accepted {
                Ok(arrival) => {
                    let (held, place) = ((traffic.connected(), permit), crowd.enter());
                    if crowd.is_large() {
                        connections.send_one_home();
                    }
                    let (dispatcher, body_timeout) = (Arc::clone(&dispatcher), BodyTimeout::new(body_timeout));
                    let accepted = Accepted { arrival, dispatcher, place, body_timeout, stop: stop.clone() };
                    connections.spawn(accepted, held);
                }
                // For example, no file descriptors are left. That may be over in a moment.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(door);
    let finish = async { while connections.running.join_next().await.is_some() {} };
    let _ = timeout(STOP_TIMEOUT, finish).await;
    // When this returns, the connections have released everything that they held.
    connections.running.shutdown().await;
}

/// The open connections.
#[derive(Default)]
struct Connections {
    running: JoinSet<()>,
    places: HashMap<Id, (AbortHandle, Weak<Place>)>,
}

impl Connections {
    /// Serves a connection on a task of its own, and keeps `held` until it ends. This is a plain function on
    /// purpose: the code of an async function is generated where its future is polled or spawned, with that crate's
    /// `opt-level`. Spawning here compiles the serving code with this crate's `opt-level`.
    #[inline(never)]
    fn spawn(&mut self, accepted: Accepted, held: (OpenConnection, Option<OwnedSemaphorePermit>)) {
        let place = Arc::downgrade(&accepted.place);
        let handle = self.running.spawn(async move {
            receive(accepted).await;
            drop(held);
        });
        self.places.insert(handle.id(), (handle, place));
    }

    /// Waits until a connection ends, or forever if there is none.
    async fn one_ends(&mut self) {
        let ended = match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return std::future::pending().await,
        };
        self.places.remove(&ended);
    }

    /// Ends the connection that has been idle for longest, if any is idle. The newest one is not a candidate.
    fn send_one_home(&mut self) {
        let idle = self.places.values().filter_map(|(handle, place)| {
            let place = place.upgrade()?;
            Some((place.idle_since()?, handle, place))
        });
        if let Some((since, handle, place)) = idle.min_by_key(|(since, ..)| *since)
            && place.send_home(since)
        {
            handle.abort();
        }
    }
}

/// The number of connections that leaves enough file descriptors for wallets, DNS and RAIDAs.
fn most_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    MAX_CONNECTIONS.min(descriptors / 4).max(1) as usize
}

async fn receive(Accepted { arrival, dispatcher, place, body_timeout, stop }: Accepted) {
    match arrival {
        Arrival::Tcp(stream, from) => {
            let _ = stream.set_nodelay(true);
            let caller = Caller::from_address(Way::Tcp, from, place);
            ConnectionTask { stream, caller, dispatcher, body_timeout, stop }.run().await;
        }
        Arrival::Tls(stream, from, acceptor) => {
            let _ = stream.set_nodelay(true);
            let caller = Caller::from_address(Way::Tls, from, place);
            // The handshake and its stream are large. Boxed, they take memory only on connections with TLS.
            let handshake = Box::pin(timeout(HEADER_TIMEOUT, acceptor.accept(stream)));
            match handshake.await {
                Ok(Ok(stream)) => {
                    Box::pin(ConnectionTask { stream, caller, dispatcher, body_timeout, stop }.run()).await
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS connection was refused"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
        Arrival::Unix(stream, guard) => match guard.known_user(&stream) {
            Some(user) => {
                ConnectionTask {
                    stream,
                    caller: Caller::from_user(user, place),
                    dispatcher,
                    body_timeout,
                    stop,
                }
                .run()
                .await
            }
            None => tracing::warn!("another user was refused at the unix socket"),
        },
    }
}
