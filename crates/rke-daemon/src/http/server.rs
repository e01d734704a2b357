//! Accepts connections and serves each with hyper, because axum's own server has no time limit for
//! headers. Every connection is bounded in time and the connections in number.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::caller::{Caller, Scheme};
use super::connection::{Connection, closing_answer};
use super::front::{ForConnection, Front};
use super::patience::{Patience, Stage};
use super::pipeline::Pipeline;
use super::tls::Acceptor;
use super::traffic::Traffic;
use super::unix_socket;

/// Connections at one time through one door; more wait to be accepted.
const MAX_CONNECTIONS: u64 = 2048;

/// How long a client may take to send a request's head, and how long it may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests may go on once the daemon has been told to stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a client may go on sending after it has been answered for the last time.
const LINGER: Duration = Duration::from_secs(1);

/// A way in. Each has connections of its own, so that a crowd at one leaves the other free.
pub enum Door {
    /// TCP, as plain text.
    Tcp(TcpListener),
    /// TCP with TLS.
    Tls(TcpListener, Arc<Acceptor>),
    /// A unix socket, for the daemon's own user.
    Unix(UnixListener),
}

/// Who has come in.
enum Arrival {
    Tcp(TcpStream, IpAddr),
    Tls(TcpStream, IpAddr, TlsAcceptor),
    Unix(UnixStream),
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
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Arrival::Unix(stream)),
        }
    }
}

/// Serves until `stop` changes, then lets the requests that run finish for half a second.
pub async fn serve(
    door: Door,
    front: Arc<Front>,
    traffic: Arc<Traffic>,
    body_timeout: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(most_connections()));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (door.accept().await, permit)
        };
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => (),
            (accepted, permit) = accept => match accepted {
                Ok(arrival) => {
                    let (front, stop, open) = (Arc::clone(&front), stop.clone(), traffic.connected());
                    connections.spawn(async move {
                        receive(arrival, front, Patience::new(body_timeout), stop).await;
                        drop((open, permit));
                    });
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
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(STOP_TIMEOUT, finish).await;
}

/// Takes as many file descriptors as the system lets the process have; shells and systemd start it with
/// few of them, for programs that cannot handle more.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// As many connections as leave file descriptors for wallets, DNS and RAIDAs.
fn most_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    MAX_CONNECTIONS.min(descriptors / 4).max(1) as usize
}

async fn receive(arrival: Arrival, front: Arc<Front>, patience: Patience, stop: watch::Receiver<bool>) {
    match arrival {
        Arrival::Tcp(stream, from) => {
            let _ = stream.set_nodelay(true);
            let caller = Caller::from_address(Scheme::Http, from);
            serve_connection(stream, caller, front, patience, stop).await;
        }
        Arrival::Tls(stream, from, acceptor) => {
            let _ = stream.set_nodelay(true);
            match timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let caller = Caller::from_address(Scheme::Https, from);
                    serve_connection(stream, caller, front, patience, stop).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS connection was refused"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
        Arrival::Unix(stream) => match unix_socket::known_user(&stream) {
            Some(user) => serve_connection(stream, Caller::from_user(user), front, patience, stop).await,
            None => tracing::warn!("another user was refused at the unix socket"),
        },
    }
}

/// How the serving of a connection ended.
enum Ended {
    /// By HTTP's rules, or because it broke.
    Over(hyper::Result<()>),
    /// A body stood still.
    Still(Stage),
}

async fn serve_connection<S>(
    stream: S,
    caller: Caller,
    front: Arc<Front>,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let for_connection = ForConnection { caller, patience: patience.clone(), pipeline: Pipeline::default() };
    let stream = Connection::new(stream, patience.clone(), for_connection.pipeline.clone());
    let for_requests = Arc::new((front, for_connection));
    let service = service_fn(move |request: Request<Incoming>| {
        let for_request = Arc::clone(&for_requests);
        Box::pin(async move {
            let (front, connection) = &*for_request;
            front.answer(request, connection).await
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut still = std::pin::pin!(patience.runs_out());
    let mut stopping = *stop.borrow();
    let ended = loop {
        if stopping {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
        }
        let run = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            ended = run => break Ended::Over(ended),
            stage = &mut still => break Ended::Still(stage),
            _ = stop.changed(), if !stopping => stopping = true,
        }
    };
    let mut io = connection.into_parts().io.into_inner();
    let timed_out = match ended {
        Ended::Over(ended) => ended.is_err_and(|error| error.is_timeout()) && io.has_unanswered_bytes(),
        Ended::Still(Stage::Asked) => true,
        // Half an answer is out: nothing but the end of the connection can be added to it.
        Ended::Still(Stage::Answered) => return,
    };
    if timed_out {
        let _ = io.write_all(&closing_answer(StatusCode::REQUEST_TIMEOUT)).await;
    }
    let _ = io.shutdown().await;
    if !stopping {
        let _ = timeout(LINGER, read_away(io)).await;
    }
}

/// Reads until the client has closed too: closing on bytes that nobody has read would make the
/// system throw away the answer to them.
async fn read_away(mut io: impl AsyncRead + Unpin) {
    let mut bytes = vec![0; 16 * 1024];
    while io.read(&mut bytes).await.is_ok_and(|len| len > 0) {}
}
