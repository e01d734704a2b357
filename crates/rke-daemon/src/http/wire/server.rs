//! Accepts connections. They are bounded in number, and each of them in time.

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

use super::body_timeout::BodyTimeout;
use super::connection_task::{ConnectionTask, HEADER_TIMEOUT};
use super::tls::Acceptor;
use super::unix_socket::Guard;
use crate::http::fast::dispatcher::Dispatcher;
use crate::http::gate::caller::{Caller, Way};
use crate::http::gate::crowd::{Crowd, Place};
use crate::http::telemetry::traffic::{OpenConnection, Traffic};

/// Connections at one time through one door; more wait to be accepted.
const MAX_CONNECTIONS: u64 = 2048;

/// How long requests may go on once the daemon has been told to stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// A way in. Each has connections of its own, so that a crowd at one leaves the other free.
pub enum Door {
    /// TCP, as plain text.
    Tcp(TcpListener),
    /// TCP with TLS.
    Tls(TcpListener, Arc<Acceptor>),
    /// A unix socket, for those whom its guard lets in.
    Unix(UnixListener, Guard),
}

/// Who has come in.
enum Arrival {
    Tcp(TcpStream, IpAddr),
    Tls(TcpStream, IpAddr, TlsAcceptor),
    Unix(UnixStream, Guard),
}

/// A connection that was accepted, and what it is served with.
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

/// Serves until `stop` changes, then lets the requests that run finish for half a second.
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
                // Out of file descriptors, say: the next moment may be better.
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
    // What they hold has gone with them when this returns.
    connections.running.shutdown().await;
}

/// The connections that are served.
#[derive(Default)]
struct Connections {
    running: JoinSet<()>,
    places: HashMap<Id, (AbortHandle, Weak<Place>)>,
}

impl Connections {
    /// Has a connection served, while `held` is held. A plain function: the code of an async one is made where its
    /// future is polled or spawned, with the `opt-level` of that crate. So this is where it is spawned, and what serves
    /// it is as quick as this crate.
    #[inline(never)]
    fn spawn(&mut self, accepted: Accepted, held: (OpenConnection, Option<OwnedSemaphorePermit>)) {
        let place = Arc::downgrade(&accepted.place);
        let handle = self.running.spawn(async move {
            receive(accepted).await;
            drop(held);
        });
        self.places.insert(handle.id(), (handle, place));
    }

    /// Waits until a connection ends; for ever where there is none.
    async fn one_ends(&mut self) {
        let ended = match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return std::future::pending().await,
        };
        self.places.remove(&ended);
    }

    /// Ends the connection that has been idle for longest, if one is. The one that has just come is not among them.
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

/// As many connections as leave file descriptors for wallets, DNS and RAIDAs.
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
            // What a handshake and its stream take is large: apart, only connections with TLS have the memory.
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
