//! Has the Content Server confirm a fresh narrow key over TCP: the loop around a [`Confirmation`]. `docs/protocol.md`
//! section 8.

use std::fmt;
use std::io;

use rke_host::framing::read_packet;
use rke_proto::KeyContext;
use rke_proto::round::Round;
use rke_proto::tunnel::confirm::ConfirmError;
use rke_proto::tunnel::{ClientKeyId, Confirmation, Handshake, PacketHeader};
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::contact::server::ContactError;
use crate::contact::{Dialer, TimeLimits, with_each};
use crate::model::key_origin::TunnelName;
use crate::model::server_name::ServerName;

/// A key that both sides have.
pub(crate) struct ConfirmedKey {
    pub(crate) key: Secret<32>,
    pub(crate) name: TunnelName,
}

/// Why a key is not confirmed.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// No response, or none in time.
    Unreachable(ContactError),
    /// The Content Server refused.
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
        Self::Unreachable(error.into())
    }
}

/// Confirms the key of a finished round.
pub(crate) async fn confirm(
    round: &Round,
    context: &KeyContext,
    dialer: Dialer<'_>,
    limits: TimeLimits,
) -> Result<(ServerName, ConfirmedKey), Unconfirmed> {
    let coin = round.coin().ok_or_else(|| io::Error::other("no coin is proven"))?;
    let (key_id, session) = (ClientKeyId(random()?), random()?);
    let begun = Confirmation::begin(round, context, key_id, Handshake { coin, session });
    let begun = begun.map_err(io::Error::from)?;
    let confirmation = begun.ok_or_else(|| io::Error::other("there are too few shares"))?;
    let asked = with_each(dialer, None, limits, |_, stream| ask_on(stream, confirmation.packet())).await;
    let (server, (header, mut payload)) =
        asked.map_err(|unreached| Unconfirmed::Unreachable(unreached.error))?;
    confirmation.receive(&header, &mut payload).map_err(Unconfirmed::Refused)?;
    Ok((server, ConfirmedKey { key: confirmation.into_key(), name: TunnelName { key_id, session } }))
}

async fn ask_on(mut stream: TcpStream, packet: &[u8]) -> Result<(PacketHeader, Vec<u8>), ContactError> {
    stream.write_all(packet).await?;
    let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
    Ok(read_packet(&mut stream).await?.ok_or_else(closed)?)
}

pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
