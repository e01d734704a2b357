//! The Content Server on TCP: one task for each connection, bounded in time and number. Packets are
//! framed here, understood by the [`Reception`], and data goes to the application.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rke_host::framing::read_packet;
use rke_proto::tunnel::packet::NONCE_LEN;
use rke_proto::tunnel::{ClientKeyId, PacketHeader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::application::{Application, Running};
use super::reception::{Outcome, REPLY_RANDOM_LEN, Reception, Rules};
use super::{ContentServerError, KeyRing};
use crate::clock::unix_seconds;

/// How often key sets that were added or retired are looked for, and keys that expired are swept.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// How long connections may go on once the server has been told to stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Packets that wait to be sent on one connection.
const OUTGOING: usize = 16;

/// Most of the application's output in one packet.
const OUTPUT_LEN: usize = 16 * 1024;

/// What a Content Server is told.
pub struct ServerConfig {
    /// Where it listens (TCP).
    pub listen: SocketAddr,
    /// What is behind the tunnel.
    pub application: Application,
    /// What it takes.
    pub rules: Rules,
    /// How long a connection may be silent in both directions.
    pub idle_timeout: Duration,
    /// Most connections at one time; more wait.
    pub max_connections: usize,
}

impl ServerConfig {
    /// The defaults: any free port of loopback.
    pub fn new(application: Application) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            application,
            rules: Rules::default(),
            idle_timeout: Duration::from_secs(300),
            max_connections: 1024,
        }
    }
}

/// Why a Content Server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The key sets.
    #[error(transparent)]
    Keys(#[from] ContentServerError),
}

/// A running Content Server. It goes on until [`ContentServer::stop`].
pub struct ContentServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

struct Shared {
    reception: Mutex<Reception>,
    application: Application,
    idle_timeout: Duration,
}

impl ContentServer {
    /// Starts serving from a key ring.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(config: ServerConfig, keys: KeyRing) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let reception = Mutex::new(Reception::new(config.rules, keys.sets().to_vec()));
        let ServerConfig { application, idle_timeout, max_connections, .. } = config;
        let shared = Arc::new(Shared { reception, application, idle_timeout });
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, shared, keys, max_connections, stopped));
        tracing::info!(%address, "the Content Server listens");
        Ok(Self { address, stop, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops within a second; connections are closed and all keys wiped.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}

async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut keys: KeyRing,
    max_connections: usize,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(max_connections));
    let mut connections = JoinSet::new();
    let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            _ = stop.changed() => break,
            _ = refresh.tick() => shared.refresh(&mut keys),
            Some(_) = connections.join_next() => (),
            (accepted, permit) = accept => match accepted {
                Ok((stream, peer)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        if let Err(error) = serve_connection(stream, shared).await {
                            tracing::debug!(%peer, %error, "a connection ended");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(STOP_TIMEOUT, finish).await;
    connections.shutdown().await;
    shared.reception().clear();
}

impl Shared {
    fn reception(&self) -> MutexGuard<'_, Reception> {
        self.reception.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, keys: &mut KeyRing) {
        match keys.refresh() {
            Ok(()) => self.reception().set_key_sets(keys.sets().to_vec()),
            Err(error) => tracing::error!(%error, "the key sets could not be read again"),
        }
        self.reception().sweep(unix_seconds());
    }
}

/// One connection: packets come in, data goes to the application, and what it says goes out.
struct Connection {
    shared: Arc<Shared>,
    packets: mpsc::Sender<Vec<u8>>,
    tunnel: Option<Tunnel>,
}

/// The application of a connection, once its first data has come, and whose key it is.
struct Tunnel {
    key_id: ClientKeyId,
    input: Box<dyn AsyncWrite + Send + Unpin>,
    /// The task that sends what the application says. Dropping it ends both.
    speaker: JoinSet<()>,
    /// Packets that it has sent.
    spoken: Arc<AtomicU64>,
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    let (mut incoming, mut outgoing) = stream.into_split();
    let (packets, mut to_send) = mpsc::channel::<Vec<u8>>(OUTGOING);
    let idle_timeout = shared.idle_timeout;
    let send = async {
        while let Some(packet) = to_send.recv().await {
            timeout(idle_timeout, outgoing.write_all(&packet)).await??;
        }
        outgoing.shutdown().await
    };
    let connection = Connection { shared, packets, tunnel: None };
    let (received, sent) = tokio::join!(connection.receive_all(&mut incoming), send);
    received.and(sent)
}

impl Connection {
    /// Takes packets in until the client has no more, then waits for what the application still says.
    async fn receive_all(mut self, incoming: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let mut spoken_before = 0;
        loop {
            let packet = match timeout(self.shared.idle_timeout, read_packet(incoming)).await {
                Ok(packet) => packet?,
                // The client only listens: that is no idling.
                Err(_) if self.spoken() > spoken_before => {
                    spoken_before = self.spoken();
                    continue;
                }
                Err(elapsed) => return Err(elapsed.into()),
            };
            let Some((header, mut payload)) = packet else { return self.finish().await };
            if self.take_in(&header, &mut payload).await? == Then::Close {
                return Ok(());
            }
        }
    }

    async fn take_in(&mut self, header: &PacketHeader, payload: &mut [u8]) -> io::Result<Then> {
        let random = random::<REPLY_RANDOM_LEN>()?;
        let outcome = self.shared.reception().receive(header, payload, unix_seconds(), &random);
        match outcome {
            Outcome::Answer(packet) => self.send(packet).await.map(|()| Then::GoOn),
            Outcome::Refuse(packet) => self.send(packet).await.map(|()| Then::Close),
            Outcome::Data(key_id, data) => {
                let tunnel = match self.tunnel.take() {
                    Some(tunnel) if tunnel.key_id != key_id => {
                        return Err(wrong("a packet under another key"));
                    }
                    Some(tunnel) => tunnel,
                    None => self.open_tunnel(key_id)?,
                };
                let input = &mut self.tunnel.insert(tunnel).input;
                // An application that has ended reads no more; what it said still goes out.
                let _ = input.write_all(&data).await;
                let _ = input.flush().await;
                Ok(Then::GoOn)
            }
        }
    }

    /// Starts the application, and a task that sends what it says.
    fn open_tunnel(&self, key_id: ClientKeyId) -> io::Result<Tunnel> {
        let client = self.shared.reception().client(key_id);
        let (session, coin) = client.ok_or_else(|| wrong("a key that is gone"))?;
        let Running { input, mut output, command } = self.shared.application.start(session, coin)?;
        let (shared, packets) = (Arc::clone(&self.shared), self.packets.clone());
        let spoken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&spoken);
        let mut speaker = JoinSet::new();
        speaker.spawn(async move {
            // Ends with this task.
            let _command = command;
            let mut data = vec![0; OUTPUT_LEN];
            while let Ok(len @ 1..) = output.read(&mut data).await {
                let Ok(nonce) = random::<NONCE_LEN>() else { return };
                let Some(packet) = shared.reception().seal(key_id, nonce, &data[..len]) else { return };
                if packets.send(packet).await.is_err() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Tunnel { key_id, input, speaker, spoken })
    }

    fn spoken(&self) -> u64 {
        self.tunnel.as_ref().map_or(0, |tunnel| tunnel.spoken.load(Ordering::Relaxed))
    }

    /// The client has sent everything: so the application's input ends, and its output is waited for.
    async fn finish(self) -> io::Result<()> {
        if let Some(mut tunnel) = self.tunnel {
            let _ = tunnel.input.shutdown().await;
            drop(tunnel.input);
            while tunnel.speaker.join_next().await.is_some() {}
        }
        Ok(())
    }

    async fn send(&mut self, packet: Vec<u8>) -> io::Result<()> {
        self.packets.send(packet).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// What becomes of a connection after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
