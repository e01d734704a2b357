//! An attacker on the path to the Content Server, without a key: it sees where records begin and end, and cuts
//! connections.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// The sender of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The daemon.
    Up,
    /// The Content Server.
    Down,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// An orderly end of both directions, at both ends.
    Fin,
    /// An orderly end injected into this direction. Everything else goes on.
    InjectedFin,
    /// A reset at both ends.
    Reset,
}

impl How {
    pub(super) const ALL: [Self; 3] = [Self::Fin, Self::InjectedFin, Self::Reset];
}

/// Where to cut the connections of tunnels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) direction: Direction,
    /// This many records of the direction arrive, if that many precede the end,
    pub(super) records: usize,
    /// and this many bytes of the next.
    pub(super) bytes: usize,
    pub(super) how: How,
}

/// A relay. It runs until the test process ends.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    cut: Arc<Mutex<Option<Cut>>>,
}

/// The length of a packet's header, and the position of the packet's kind in it.
const HEADER_LEN: usize = 7;
const KIND_AT: usize = 4;
const ATTACH: u8 = 5;

/// The length of the record that ends the Content Server's data: a length field, a type, an exit status, a tag. No
/// text of the command is that long.
const END_LEN: usize = 2 + 1 + 4 + 16;

impl Relay {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let cut = Arc::<Mutex<Option<Cut>>>::default();
        let plan = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = *plan.lock().expect("unpoisoned");
                tokio::spawn(async move {
                    // If the server is gone, the connection ends.
                    if let Ok(server) = TcpStream::connect(server).await {
                        let _ = relay(client, server, cut).await;
                    }
                });
            }
        });
        Self { address, cut }
    }

    /// Sets what happens to connections from now on.
    pub(super) fn cut(&self, cut: Option<Cut>) {
        *self.cut.lock().expect("unpoisoned") = cut;
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, cut: Option<Cut>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (kind, first) = packet(&mut client).await?;
    server.write_all(&first).await?;
    let Some(cut) = cut.filter(|_| kind == ATTACH) else {
        return pass(client, server).await;
    };
    let mut message = vec![0; 2];
    client.read_exact(&mut message).await?;
    message.resize(2 + usize::from(u16::from_be_bytes([message[0], message[1]])), 0);
    client.read_exact(&mut message[2..]).await?;
    server.write_all(&message).await?;
    let (_, response) = packet(&mut server).await?;
    client.write_all(&response).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (Way { from: from_client, to: to_server }, Way { from: from_server, to: to_client });
    match cut.direction {
        Direction::Up => cut_one(up, down, cut).await,
        Direction::Down => cut_one(down, up, cut).await,
    }
}

/// Forwards both directions. Passes a reset on as a reset.
async fn pass(mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    if copy_bidirectional(&mut client, &mut server).await.is_err() {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// The kind of a packet, and the whole packet up to its Noise message.
async fn packet(from: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut packet = vec![0; HEADER_LEN];
    from.read_exact(&mut packet).await?;
    let len = usize::from(u16::from_be_bytes([packet[5], packet[6]]));
    packet.resize(HEADER_LEN + len, 0);
    from.read_exact(&mut packet[HEADER_LEN..]).await?;
    Ok((packet[KIND_AT], packet))
}

/// One direction of a connection.
struct Way {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
}

impl Way {
    /// Forwards this many records, and this many bytes of the next. It never forwards the record that ends the
    /// Content Server's data: texts that a command writes at different times may arrive in one record.
    async fn pass_until(&mut self, cut: Cut) -> io::Result<()> {
        for _ in 0..cut.records {
            let record = self.record().await?;
            if cut.direction == Direction::Down && record.len() == END_LEN {
                return self.to.write_all(&record[..cut.bytes]).await;
            }
            self.to.write_all(&record).await?;
        }
        if cut.bytes > 0 {
            let record = self.record().await?;
            self.to.write_all(&record[..cut.bytes]).await?;
        }
        Ok(())
    }

    async fn record(&mut self) -> io::Result<Vec<u8>> {
        let mut record = vec![0; 2];
        self.from.read_exact(&mut record).await?;
        record.resize(2 + usize::from(u16::from_be_bytes([record[0], record[1]])), 0);
        self.from.read_exact(&mut record[2..]).await?;
        Ok(record)
    }

    async fn pass_all(&mut self) {
        let _ = tokio::io::copy(&mut self.from, &mut self.to).await;
        let _ = self.to.shutdown().await;
    }

    /// Reads what still arrives: closing with unread data would send a reset.
    async fn drain(&mut self) {
        let _ =
            timeout(Duration::from_secs(1), tokio::io::copy(&mut self.from, &mut tokio::io::sink())).await;
    }
}

async fn cut_one(mut way: Way, mut back: Way, cut: Cut) -> io::Result<()> {
    tokio::select! {
        passed = way.pass_until(cut) => passed?,
        // The cut must come before this end.
        () = async { back.pass_all().await; std::future::pending().await } => (),
    }
    match cut.how {
        How::Fin => {
            way.to.shutdown().await?;
            back.to.shutdown().await?;
            tokio::join!(way.drain(), back.drain());
        }
        How::InjectedFin => {
            way.to.shutdown().await?;
            tokio::join!(way.drain(), back.pass_all());
        }
        How::Reset => {
            way.to.as_ref().set_zero_linger()?;
            back.to.as_ref().set_zero_linger()?;
        }
    }
    Ok(())
}
