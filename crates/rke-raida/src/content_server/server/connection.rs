//! Handles the first packet of a connection. `docs/protocol.md` section 7.

use std::io;
use std::time::Duration;

use rke_host::framing::{First, RecordIoError, read_first, records};
use rke_proto::handshake::{KeyId, Record, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::cut::{self, Cut, close, send_last, stopping};
use super::record::{ConnectionKind, ConnectionRecord, End, Fault};
use super::records::Tunnel;
use super::{ServerContext, invalid_data, narrow};
use crate::clock::unix_seconds;
use crate::content_server::reception::{EndWatcher, Ending, Fresh, NewSession, Opens, Outcome, Pending};

/// How long a client has from its TCP connection to its first record.
const FIRST_RECORD_LIMIT: Duration = Duration::from_secs(10);

/// Serves a connection that has just been accepted.
pub(super) async fn serve(
    mut stream: TcpStream,
    shared: &ServerContext,
    record: &mut ConnectionRecord,
) -> Result<End, Fault> {
    let deadline = record.since + FIRST_RECORD_LIMIT;
    let _ = stream.set_nodelay(true);
    let first = timeout_at(deadline, read_first(&mut stream)).await.map_err(io::Error::from).flatten();
    match first.map_err(Fault::Unreadable)? {
        None => Ok(End::Empty),
        Some(First::Narrow(header, payload)) => {
            record.kind = ConnectionKind::Live;
            narrow::serve(stream, header, payload, shared, record).await
        }
        Some(First::Handshake(packet)) => {
            record.kind = ConnectionKind::of(&packet);
            let fresh = Fresh::random().map_err(io::Error::other)?;
            let outcome = match &shared.sharing {
                None => shared.reception().receive(&packet, unix_seconds(), &fresh),
                Some(sharing) => sharing.receive(&packet, &fresh).await,
            };
            let outcome = outcome.map_err(|error| Fault::Unreadable(invalid_data(error)))?;
            drop((packet, fresh));
            handle(outcome, stream, deadline, shared, record).await
        }
    }
}

async fn handle(
    outcome: Outcome,
    mut stream: TcpStream,
    deadline: Instant,
    shared: &ServerContext,
    record: &mut ConnectionRecord,
) -> Result<End, Fault> {
    match outcome {
        Outcome::Respond(Response::Refused(reason)) => {
            // It was refused, whether or not the client waits to hear why.
            let _ = respond(&mut stream, &Response::Refused(reason), deadline).await;
            Ok(End::Refused(reason.into()))
        }
        Outcome::Respond(response) => {
            respond(&mut stream, &response, deadline).await?;
            Ok(End::Done)
        }
        Outcome::Forgotten(response, closing) => {
            if let Response::Forgotten { id, .. } = &response {
                record.key_id = Some(KeyId(*id));
            }
            // They have a time limit for their last record, so this ends.
            closing.wait().await;
            respond(&mut stream, &response, deadline).await?;
            Ok(End::Done)
        }
        Outcome::Accepted(pending) => Ok(open(*pending, stream, deadline, shared, record).await?),
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
    record: &mut ConnectionRecord,
) -> Result<End, Cut> {
    let Pending { response, transport, mut watcher, opens, .. } = pending;
    let sent = timeout_at(deadline, stream.write_all(&response.to_bytes())).await;
    sent.map_err(io::Error::from).flatten().map_err(RecordIoError::Broken)?;
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
        (Opens::Session(new), Ok(Record::End(_))) => match establish(new, shared, record).await {
            Ok(()) => {
                send_last(writer.end(None)).await.map_err(RecordIoError::Broken)?;
                close(&mut reader, &mut writer).await;
                return Ok(End::Done);
            }
            Err(cut) => cut,
        },
        (Opens::Tunnel(key_id), Ok(first @ (Record::Data(_) | Record::End(_)))) => {
            let missing = || RecordIoError::Broken(invalid_data("a tunnel without a key"));
            let watcher = watcher.ok_or_else(missing)?;
            return Tunnel { reader, writer, watcher, key_id, shared, record }.run(first).await;
        }
        // The client only wanted to know whether its key is here.
        (Opens::Tunnel(key_id), Ok(Record::BrokenOff { .. })) => {
            record.key_id = Some(key_id);
            drop(watcher);
            close(&mut reader, &mut writer).await;
            return Ok(End::Done);
        }
        (Opens::Session(_), Ok(Record::Data(_))) => Cut::NotForData,
        (_, Ok(Record::BrokenOff { .. })) => Cut::ByTheClient,
        (_, Err(cut)) => cut,
    };
    cut.send_to(&mut writer).await;
    drop(watcher);
    close(&mut reader, &mut writer).await;
    Err(cut)
}

async fn establish(
    new: NewSession,
    shared: &ServerContext,
    record: &mut ConnectionRecord,
) -> Result<(), Cut> {
    record.note_client(new.domain(), new.coin());
    let established = match &shared.sharing {
        None => shared.reception().establish(new, unix_seconds()).map_err(Cut::Key),
        Some(sharing) => sharing.establish(new).await.map_err(Cut::from),
    };
    record.key_id = Some(established?);
    Ok(())
}

/// Waits until the key is removed, if there is one to watch.
async fn wait_for_end(watcher: &mut Option<EndWatcher>) -> Ending {
    match watcher {
        Some(watcher) => watcher.wait().await,
        None => std::future::pending().await,
    }
}
