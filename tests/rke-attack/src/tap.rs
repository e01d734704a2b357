//! Stands in the way of a connection or of datagrams, lets them through, and keeps a copy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The bytes of one connection, to the server and from it.
#[derive(Default, Clone)]
pub(crate) struct Recording {
    pub(crate) to_server: Vec<u8>,
    pub(crate) from_server: Vec<u8>,
}

/// All recordings so far.
pub(crate) type Recordings = Arc<Mutex<Vec<Recording>>>;

/// A TCP relay. Returns its address and its recording.
pub(crate) async fn tcp(server: SocketAddr) -> Result<(SocketAddr, Recordings)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let recordings = Recordings::default();
    let all = Arc::clone(&recordings);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server).await else { continue };
            let number = {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(Recording::default());
                all.len() - 1
            };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(carry(from_client, to_server, Arc::clone(&all), number, |of| &mut of.to_server));
            tokio::spawn(carry(from_server, to_client, Arc::clone(&all), number, |of| &mut of.from_server));
        }
    });
    Ok((address, recordings))
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    all: Recordings,
    number: usize,
    of: fn(&mut Recording) -> &mut Vec<u8>,
) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut piece).await {
        of(&mut all.lock().unwrap_or_else(PoisonError::into_inner)[number]).extend(&piece[..len]);
        if to.write_all(&piece[..len]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// The datagrams to one RAIDA, and from it.
#[derive(Default, Clone)]
pub(crate) struct Datagrams {
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) responses: Vec<Vec<u8>>,
}

/// A relay for the datagrams of one RAIDA. Returns its address and its recording.
pub(crate) async fn udp(node: SocketAddr) -> Result<(SocketAddr, Arc<Mutex<Datagrams>>)> {
    let outside = UdpSocket::bind("127.0.0.1:0").await?;
    let inside = UdpSocket::bind("127.0.0.1:0").await?;
    let address = outside.local_addr()?;
    let recorded = Arc::new(Mutex::new(Datagrams::default()));
    let kept = Arc::clone(&recorded);
    tokio::spawn(async move {
        let (mut request, mut response, mut client) = ([0; 2048], [0; 2048], None);
        let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            tokio::select! {
                Ok((len, from)) = outside.recv_from(&mut request) => {
                    client = Some(from);
                    kept().requests.push(request[..len].to_vec());
                    let _ = inside.send_to(&request[..len], node).await;
                }
                Ok((len, _)) = inside.recv_from(&mut response) => {
                    kept().responses.push(response[..len].to_vec());
                    if let Some(client) = client {
                        let _ = outside.send_to(&response[..len], client).await;
                    }
                }
            }
        }
    });
    Ok((address, recorded))
}
