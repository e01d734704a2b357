//! An application's data in packets of envelope type 6. `docs/protocol.md` section 8. Its data has no authenticated end:
//! an orderly close is taken for one. Everything else is a cut, also after that: a reset says that the client is gone.

use std::io;

use rke_host::framing::read_packet;
use rke_proto::tunnel::packet::NONCE_LEN;
use rke_proto::tunnel::{ClientKeyId, PacketHeader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::cut::Motion;
use super::{Shared, random, wrong};
use crate::clock::unix_seconds;
use crate::content_server::application::{Input, Running, User};
use crate::content_server::reception::{OnLine, REPLY_RANDOM_LEN, Reply};

/// Most of the application's output in one packet.
const OUTPUT_LEN: usize = 16 * 1024;

/// Serves a connection whose first packet has come.
pub(super) async fn serve(
    mut stream: TcpStream,
    mut header: PacketHeader,
    mut payload: Vec<u8>,
    shared: &Shared,
) -> io::Result<()> {
    loop {
        match receive(shared, &header, &mut payload)? {
            // A client that takes nothing does not keep its place among the connections.
            Reply::Answer(packet) => timeout(shared.idle_timeout, stream.write_all(&packet)).await??,
            Reply::Refuse(packet) => return timeout(shared.idle_timeout, stream.write_all(&packet)).await?,
            Reply::Data(key_id, data) => return carry(stream, key_id, data, shared).await,
        }
        match timeout(shared.idle_timeout, read_packet(&mut stream)).await?? {
            Some(packet) => (header, payload) = packet,
            None => return Ok(()),
        }
    }
}

fn receive(shared: &Shared, header: &PacketHeader, payload: &mut [u8]) -> io::Result<Reply> {
    let random = random::<REPLY_RANDOM_LEN>()?;
    Ok(shared.reception().receive_narrow(header, payload, unix_seconds(), &random))
}

/// Carries an application's data, the first of which has come, for one key.
async fn carry(stream: TcpStream, key_id: ClientKeyId, first: Vec<u8>, shared: &Shared) -> io::Result<()> {
    let (mut running, mut line) = start(shared, key_id)?;
    let (mut incoming, mut outgoing) = stream.into_split();
    let motion = Motion::new(shared, None);
    let (exit, done) = (running.exit(), Notify::new());
    let up = async {
        receive_all(&mut incoming, key_id, first, &mut running.input, &motion, shared).await?;
        tokio::select! {
            biased;
            () = done.notified() => Ok(()),
            reset = reset(&incoming) => Err(reset),
        }
    };
    let down = async {
        send_all(&mut outgoing, key_id, &mut running.output, &motion, shared).await?;
        // It may have closed its output before its work is done.
        if let Some(exit) = exit {
            exit.status().await?;
        }
        done.notify_one();
        Ok(())
    };
    let ended = tokio::select! {
        biased;
        cut = motion.cut(&mut line) => Err(io::Error::other(cut)),
        both = async { tokio::try_join!(up, down) } => both.map(|_| ()),
    };
    // What is left of the command is killed, and then its input closes.
    drop(running);
    ended
}

fn start(shared: &Shared, key_id: ClientKeyId) -> io::Result<(Running, OnLine)> {
    let client = shared.reception().narrow_client(key_id);
    let (session, line) = client.ok_or_else(|| wrong("a key that is gone"))?;
    let running = shared.start_application(&User::Live(session)).map_err(io::Error::other)?;
    Ok((running, line))
}

async fn receive_all(
    incoming: &mut OwnedReadHalf,
    key_id: ClientKeyId,
    first: Vec<u8>,
    input: &mut Input,
    motion: &Motion<'_>,
    shared: &Shared,
) -> io::Result<()> {
    let mut data = first;
    loop {
        motion.note();
        // An application that has ended no longer reads; what it sent still goes out.
        if let Some(stream) = input.stream()
            && stream.write_all(&data).await.is_ok()
        {
            let _ = stream.flush().await;
        }
        let Some((header, mut payload)) = read_packet(incoming).await? else { break };
        data = match receive(shared, &header, &mut payload)? {
            Reply::Data(own, data) if own == key_id => data,
            Reply::Data(..) | Reply::Answer(_) | Reply::Refuse(_) => {
                return Err(wrong("a packet that is no data of this key"));
            }
        };
    }
    input.end();
    Ok(())
}

/// Waits until a connection is reset of which the client's direction has ended.
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
    motion: &Motion<'_>,
    shared: &Shared,
) -> io::Result<()> {
    let mut data = vec![0; OUTPUT_LEN];
    while let len @ 1.. = output.read(&mut data).await? {
        let nonce = random::<NONCE_LEN>()?;
        let packet = shared.reception().seal_narrow(key_id, nonce, &data[..len]);
        outgoing.write_all(&packet.ok_or_else(|| wrong("a key that is gone"))?).await?;
        motion.note();
    }
    outgoing.shutdown().await
}
