//! An application's data in packets of envelope type 6. `docs/protocol.md` section 8. Its data has no authenticated
//! end, so an orderly close counts as one. Everything else is a cut, also later: a reset means that the client is
//! gone.

use std::io;

use rke_host::framing::read_packet;
use rke_proto::tunnel::packet::NONCE_LEN;
use rke_proto::tunnel::{ClientKeyId, PacketHeader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::cut::Activity;
use super::record::{ConnectionRecord, End, Fault, Refused};
use super::{ServerContext, invalid_data, random};
use crate::clock::unix_seconds;
use crate::content_server::application::{Input, User};
use crate::content_server::reception::{REPLY_RANDOM_LEN, Reply};

/// The largest piece of the application's output in one packet.
const OUTPUT_LEN: usize = 16 * 1024;

/// Serves a connection whose first packet has arrived.
pub(super) async fn serve(
    mut stream: TcpStream,
    mut header: PacketHeader,
    mut payload: Vec<u8>,
    shared: &ServerContext,
    record: &mut ConnectionRecord,
) -> Result<End, Fault> {
    loop {
        match receive(shared, &header, &mut payload)? {
            // A client that reads nothing must not occupy a connection.
            Reply::Response(packet) => send(shared, &mut stream, &packet).await?,
            Reply::Refuse(packet) => {
                // It was refused, whether or not the client waits to hear why.
                let _ = send(shared, &mut stream, &packet).await;
                return Ok(End::Refused(Refused::Live));
            }
            Reply::Data(key_id, data) => {
                record.note_tunnel();
                return carry(stream, key_id, data, shared).await.map(|()| End::Done);
            }
        }
        let next = timeout(shared.idle_timeout(), read_packet(&mut stream)).await;
        match next.map_err(io::Error::from).flatten()? {
            Some(packet) => (header, payload) = packet,
            None => return Ok(End::Done),
        }
    }
}

async fn send(shared: &ServerContext, stream: &mut TcpStream, packet: &[u8]) -> io::Result<()> {
    timeout(shared.idle_timeout(), stream.write_all(packet)).await?
}

fn receive(shared: &ServerContext, header: &PacketHeader, payload: &mut [u8]) -> io::Result<Reply> {
    let random = random::<REPLY_RANDOM_LEN>()?;
    Ok(shared.reception().receive_narrow(header, payload, unix_seconds(), &random))
}

/// Carries an application's data for one key, starting with the packet that has arrived.
async fn carry(
    stream: TcpStream,
    key_id: ClientKeyId,
    first: Vec<u8>,
    shared: &ServerContext,
) -> Result<(), Fault> {
    let client = shared.reception().narrow_client(key_id);
    let (session, mut watcher) = client.ok_or_else(|| invalid_data("a key that is gone"))?;
    let activity = Activity::new(shared, None);
    let started = shared.start_application(&User::Live(session), &activity, &mut watcher).await;
    let mut running = started?;
    let (mut incoming, mut outgoing) = stream.into_split();
    let (exit, done) = (running.exit(), Notify::new());
    let up = async {
        receive_all(&mut incoming, key_id, first, &mut running.input, &activity, shared).await?;
        tokio::select! {
            biased;
            () = done.notified() => Ok(()),
            reset = reset(&incoming) => Err(reset),
        }
    };
    let down = async {
        send_all(&mut outgoing, key_id, &mut running.output, &activity, shared).await?;
        // The command may close its output before its work is done.
        if let Some(exit) = exit {
            exit.status().await?;
        }
        done.notify_one();
        io::Result::Ok(())
    };
    let ended = tokio::select! {
        biased;
        cut = activity.wait_for_cut(&mut watcher) => Err(cut.into()),
        both = async { tokio::try_join!(up, down) } => both.map(|_| ()).map_err(Fault::from),
    };
    // Kills the rest of a command and then closes its input, or resets a connection that has not ended.
    drop(running);
    ended
}

async fn receive_all(
    incoming: &mut OwnedReadHalf,
    key_id: ClientKeyId,
    first: Vec<u8>,
    input: &mut Input,
    activity: &Activity<'_>,
    shared: &ServerContext,
) -> io::Result<()> {
    let mut data = first;
    loop {
        activity.note();
        input.feed(&data).await?;
        let Some((header, mut payload)) = read_packet(incoming).await? else { break };
        data = match receive(shared, &header, &mut payload)? {
            Reply::Data(own, data) if own == key_id => data,
            Reply::Data(..) | Reply::Response(_) | Reply::Refuse(_) => {
                return Err(invalid_data("a packet that is not data under this key"));
            }
        };
    }
    input.end().await
}

/// Waits for the reset of a connection on which the client's direction has already ended.
async fn reset(incoming: &OwnedReadHalf) -> io::Error {
    match incoming.ready(Interest::ERROR).await {
        Ok(_) => io::ErrorKind::ConnectionReset.into(),
        Err(error) => error,
    }
}

async fn send_all(
    outgoing: &mut OwnedWriteHalf,
    key_id: ClientKeyId,
    output: &mut (impl AsyncRead + Unpin),
    activity: &Activity<'_>,
    shared: &ServerContext,
) -> io::Result<()> {
    let mut data = vec![0; OUTPUT_LEN];
    while let len @ 1.. = output.read(&mut data).await? {
        let nonce = random::<NONCE_LEN>()?;
        let packet = shared.reception().seal_narrow(key_id, nonce, &data[..len]);
        outgoing.write_all(&packet.ok_or_else(|| invalid_data("a key that is gone"))?).await?;
        activity.note();
    }
    outgoing.shutdown().await
}
