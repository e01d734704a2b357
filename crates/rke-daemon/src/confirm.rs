//! Has a fresh key confirmed by the Content Server over TCP: the loop around a [`Confirmation`].
//! `docs/protocol.md` sections 7.2 to 7.4.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rke_host::framing::read_packet;
use rke_proto::round::Round;
use rke_proto::tunnel::confirm::{ConfirmError, Next};
use rke_proto::tunnel::{ClientKeyId, Confirmation, Handshake, PacketHeader, SessionIdentifier};
use rke_proto::{Bitmap, KeyContext};
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

/// Whether the Content Server has to confirm a fresh key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// A key that is not confirmed opens no session.
    Require,
    /// It does, and the session says so.
    #[default]
    Try,
    /// The Content Server is not asked.
    Off,
}

/// Wait before a lost packet is sent again, on a new connection.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// The names under which a Content Server knows a confirmed key, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelName {
    /// The client's name for the key.
    pub key_id: ClientKeyId,
    /// What stands in every packet.
    pub session: SessionIdentifier,
    /// Host of the Content Server.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

/// A key that both sides have.
pub(crate) struct ConfirmedKey {
    pub(crate) key: Secret<32>,
    pub(crate) raidas: Bitmap,
    pub(crate) liars: Bitmap,
    pub(crate) key_id: ClientKeyId,
    pub(crate) session: SessionIdentifier,
}

/// Why a key is not confirmed.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// Nobody answered, or not in time.
    Unreachable(io::Error),
    /// The answer was no.
    Refused(ConfirmError),
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "the Content Server cannot be asked: {error}"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Unconfirmed {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

/// Confirms the key that a finished round gives.
pub(crate) async fn confirm(
    round: &Round,
    context: &KeyContext,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<ConfirmedKey, Unconfirmed> {
    let coin = round.coin().ok_or_else(|| io::Error::other("no coin has proved itself"))?;
    let (key_id, session) = (ClientKeyId(random()?), random()?);
    let begun = Confirmation::begin(round, context, key_id, Handshake { coin, session });
    let begun = begun.map_err(io::Error::from)?;
    let mut confirmation = begun.ok_or_else(|| io::Error::other("there are too few shares"))?;
    loop {
        let (header, mut payload) = ask(addresses, confirmation.packet(), deadline).await?;
        match confirmation.receive(round, &header, &mut payload) {
            Ok(Next::Send) => (),
            Ok(Next::Confirmed) => {
                let liars = confirmation.liars();
                let (key, raidas) = confirmation.into_key();
                return Ok(ConfirmedKey { key, raidas, liars, key_id, session });
            }
            Err(error) => return Err(Unconfirmed::Refused(error)),
        }
    }
}

/// The answer to a packet, which is sent again on a new connection where it got lost.
async fn ask(
    addresses: &[SocketAddr],
    packet: &[u8],
    deadline: Instant,
) -> io::Result<(PacketHeader, Vec<u8>)> {
    loop {
        let answer = timeout_at(deadline, ask_once(addresses, packet)).await;
        match answer {
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(Err(error)) if is_lost(&error) => sleep(RETRY_WAIT).await,
            Ok(answer) => return answer,
        }
    }
}

async fn ask_once(addresses: &[SocketAddr], packet: &[u8]) -> io::Result<(PacketHeader, Vec<u8>)> {
    let mut stream = connect(addresses).await?;
    stream.write_all(packet).await?;
    read_packet(&mut stream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// A connection to the first of these addresses that accepts one.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether asking again may help: the connection broke.
fn is_lost(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
