//! Accepts connections and serves each with hyper, because axum's own server has no time limit for
//! headers. Every connection is bounded in time and the connections in number.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{Connection, closing_answer};

/// Connections at one time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 2048;

/// How long a client may take to send a request's head, and how long it may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests may go on once the daemon has been told to stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves until `stop` changes, then lets the requests that run finish for half a second.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => (),
            (accepted, permit) = accept => match accepted {
                Ok((stream, _)) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    connections.spawn(async move {
                        serve_connection(stream, router, stop).await;
                        drop(permit);
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
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, finish).await;
}

async fn serve_connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(Connection::new(stream)), service);
    let mut stopping = *stop.borrow();
    let ended = loop {
        if stopping {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
        }
        let run = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            ended = run => break ended,
            _ = stop.changed(), if !stopping => stopping = true,
        }
    };
    let mut io = connection.into_parts().io.into_inner();
    if ended.is_err_and(|error| error.is_timeout()) && io.has_unanswered_bytes() {
        let _ = io.write_all(&closing_answer(StatusCode::REQUEST_TIMEOUT)).await;
    }
    let _ = io.shutdown().await;
}
