//! A way between two processes that a test can cut off. What is sent meanwhile arrives afterwards, as in a network that has lost its
//! packets for a while. With several targets it is a balancer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Runs until its runtime ends.
pub(super) struct Relay {
    port: u16,
    is_open: Arc<watch::Sender<bool>>,
}

impl Relay {
    /// Each new connection leads to the next of these ports.
    pub(super) async fn to(targets: &[u16]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let is_open = Arc::new(watch::Sender::new(true));
        let (gate, targets, next) = (Arc::clone(&is_open), targets.to_vec(), AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = targets[next.fetch_add(1, Ordering::Relaxed) % targets.len()];
                tokio::spawn(relay(client, target, gate.subscribe()));
            }
        });
        Self { port, is_open }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn cut(&self) {
        self.is_open.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.is_open.send_replace(true);
    }
}

async fn relay(client: TcpStream, target: u16, mut gate: watch::Receiver<bool>) {
    if gate.wait_for(|is_open| *is_open).await.is_err() {
        return;
    }
    // If the target is gone, the connection ends.
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = tokio::spawn(carry(from_client, to_server, gate.clone()));
    carry(from_server, to_client, gate).await;
    let _ = up.await;
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut gate: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16384];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if gate.wait_for(|is_open| *is_open).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            // Dropping this half sends the end on.
            return;
        }
    }
}
