//! Handles the first packet of a connection. `docs/protocol.md` section 7.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rke_host::framing::{First, RecordIoError, read_first, records};
use rke_proto::handshake::{Record, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::cut::{self, Cut, close, send_last, stopping};
use super::records::Tunnel;
use super::{ServerContext, invalid_data, narrow};
use crate::clock::unix_seconds;
use crate::content_server::reception::{EndWatcher, Fresh, NewSession, Opens, Outcome, Pending};

/// How long a client has from its TCP connection to its first record.
const FIRST_RECORD_LIMIT: Duration = Duration::from_secs(10);

/// Serves a connection that was accepted at a given time.
pub(super) async fn serve(
    mut stream: TcpStream,
    since: Instant,
    shared: Arc<ServerContext>,
) -> io::Result<()> {
    let deadline = since + FIRST_RECORD_LIMIT;
    let _ = stream.set_nodelay(true);
    match timeout_at(deadline, read_first(&mut stream)).await?? {
        None => Ok(()),
        Some(First::Narrow(header, payload)) => narrow::serve(stream, header, payload, &shared).await,
        Some(First::Handshake(packet)) => {
            let outcome = {
                let fresh = Fresh::random().map_err(io::Error::other)?;
                shared.reception().receive(&packet, unix_seconds(), &fresh).map_err(invalid_data)?
            };
            drop(packet);
            handle(outcome, stream, deadline, &shared).await
        }
    }
}

async fn handle(
    outcome: Outcome,
    mut stream: TcpStream,
    deadline: Instant,
    shared: &ServerContext,
) -> io::Result<()> {
    match outcome {
        Outcome::Respond(response) => respond(&mut stream, &response, deadline).await,
        Outcome::Forgotten(response, closing) => {
            // They have a time limit for their last record, so this ends.
            closing.wait().await;
            respond(&mut stream, &response, deadline).await
        }
        Outcome::Accepted(pending) => open(*pending, stream, deadline, shared).await,
    }
}

/// Sends the only response of a connection, and closes.
async fn respond(stream: &mut TcpStream, response: &Response, deadline: Instant) -> io::Result<()> {
    let send = async {
        stream.write_all(&response.to_bytes()).await?;
        stream.shutdown().await
    };
    timeout_at(deadline, send).await??;
    // If the socket closed with unread data, the response could be lost.
    let drain = async { while let Ok(1..) = stream.read(&mut [0; 1024]).await {} };
    let _ = timeout(cut::DRAIN_LIMIT, drain).await;
    Ok(())
}

/// Accepts a handshake, and waits for the record that proves that the client has the key.
async fn open(
    pending: Pending,
    mut stream: TcpStream,
    deadline: Instant,
    shared: &ServerContext,
) -> io::Result<()> {
    let Pending { response, transport, mut watcher, opens } = pending;
    timeout_at(deadline, stream.write_all(&response.to_bytes())).await??;
    let (mut reader, mut writer) = records(stream, transport);
    let first = tokio::select! {
        biased;
        ending = wait_for_end(&mut watcher) => Err(Cut::Key(ending)),
        () = stopping(shared.stop.clone()) => Err(Cut::Stopping),
        first = timeout_at(deadline, reader.next()) => match first {
            Ok(first) => first.map_err(Cut::from),
            Err(elapsed) => Err(Cut::Connection(RecordIoError::Broken(elapsed.into()))),
        },
    };
    let cut = match (opens, first) {
        (Opens::Session(new), Ok(Record::End(_))) => match establish(new, shared) {
            Ok(()) => {
                send_last(writer.end(None)).await?;
                close(&mut reader, &mut writer).await;
                return Ok(());
            }
            Err(cut) => cut,
        },
        (Opens::Tunnel(key_id), Ok(first @ (Record::Data(_) | Record::End(_)))) => {
            let watcher = watcher.ok_or_else(|| invalid_data("a tunnel without a key"))?;
            return Tunnel { reader, writer, watcher, key_id, shared }.run(first).await;
        }
        (Opens::Session(_), Ok(Record::Data(_))) => Cut::NotForData,
        (_, Ok(Record::BrokenOff { .. })) => Cut::ByTheClient,
        (_, Err(cut)) => cut,
    };
    cut.send_to(&mut writer).await;
    drop(watcher);
    close(&mut reader, &mut writer).await;
    Err(io::Error::other(cut))
}

fn establish(new: NewSession, shared: &ServerContext) -> Result<(), Cut> {
    shared.reception().establish(new, unix_seconds()).map(|_| ()).map_err(Cut::Key)
}

/// Waits until the key is removed, if there is one to watch.
async fn wait_for_end(watcher: &mut Option<EndWatcher>) -> super::super::reception::Ending {
    match watcher {
        Some(watcher) => watcher.wait().await,
        None => std::future::pending().await,
    }
}
