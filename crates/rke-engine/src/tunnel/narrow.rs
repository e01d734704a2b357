//! Tunnels under a narrow key, as on the live network: each packet is sealed or opened while the key is exposed. The
//! end of the data is not authenticated. `docs/protocol.md` section 8.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rke_host::framing::{read_packet, reset};
use rke_proto::tunnel::nonces::Nonce;
use rke_proto::tunnel::packet::{self, MAX_DATA_LEN};
use rke_proto::tunnel::response::{self, Form};
use rke_proto::tunnel::{Covered, NonceMemory, PacketHeader};
use rke_proto::{DecodeError, Status};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout_at;

use super::{Coming, Cut, TunnelError};
use crate::contact::server::ContactError;
use crate::exchange::confirm::random;
use crate::model::key_origin::TunnelName;
use crate::model::session_id::SessionId;
use crate::sessions::Sessions;
use crate::store::{KeyUse, SessionInfo};

/// The state that both directions share.
#[derive(Clone)]
struct Ends {
    sessions: Arc<Sessions>,
    id: SessionId,
    name: TunnelName,
    seen: Arc<Mutex<NonceMemory>>,
}

/// The direction to the Content Server.
pub(super) struct Sender {
    ends: Ends,
    stream: OwnedWriteHalf,
}

/// The direction from the Content Server.
pub(super) struct Receiver {
    ends: Ends,
    stream: OwnedReadHalf,
}

/// Connects. The first packet has no data, and shows which key is used.
pub(super) async fn connect(
    sessions: &Arc<Sessions>,
    id: SessionId,
    row: &SessionInfo,
) -> Result<(super::Sender, super::Receiver), TunnelError> {
    let name = row.origin.tunnel.clone().ok_or(TunnelError::Unconfirmed)?;
    let contact = |error| TunnelError::contact(&row.origin.server, error);
    let stream = reach(sessions, row).await.map_err(contact)?;
    let seen = sessions.seen_under(name.key_id);
    let ends = Ends { sessions: Arc::clone(sessions), id, name, seen };
    let (incoming, outgoing) = stream.into_split();
    let mut sender = Sender { ends: ends.clone(), stream: outgoing };
    match sender.send_packet(&[]).await {
        Ok(()) => {
            Ok((super::Sender::Narrow(sender), super::Receiver::Narrow(Receiver { ends, stream: incoming })))
        }
        Err(Cut::Key(error)) => Err(error.into()),
        Err(cut) => Err(contact(io::Error::other(cut).into())),
    }
}

/// Connects to the first address that accepts a connection.
async fn reach(sessions: &Sessions, row: &SessionInfo) -> Result<TcpStream, ContactError> {
    let exchange = sessions.exchange();
    let mut dialer = exchange.dialer_at(&row.origin.server);
    match timeout_at(exchange.time_limits().all, dialer.next()).await {
        Ok(Some((_, stream))) => Ok(stream),
        Ok(None) => Err(dialer.into_failure().error),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

impl Sender {
    /// Sends data, in as many packets as needed.
    pub(super) async fn send(&mut self, data: &[u8]) -> Result<(), Cut> {
        for part in data.chunks(MAX_DATA_LEN) {
            self.send_packet(part).await?;
        }
        Ok(())
    }

    /// Ends the data, as well as this form allows.
    pub(super) async fn finish(&mut self) -> Result<(), Cut> {
        Ok(self.stream.shutdown().await?)
    }

    /// Resets the connection: an orderly close would be an end of the data.
    pub(super) fn break_off(self) {
        reset(self.stream);
    }

    async fn send_packet(&mut self, data: &[u8]) -> Result<(), Cut> {
        let Ends { sessions, id, name, .. } = &self.ends;
        let nonce = random()?;
        let sealed = sessions.store().with_key(*id, KeyUse::Send(data.len()), |key| {
            packet::seal_data(key, name.key_id, &name.session, nonce, data, Covered::HeaderAndPayload)
        });
        let packet = sealed?.map_err(Cut::Untrusted)?;
        // The daemon's own packets must be rejected if they are sent back.
        self.ends.note(&PacketHeader { payload_len: 0, key_id: name.key_id, nonce })?;
        Ok(self.stream.write_all(&packet).await?)
    }
}

impl Receiver {
    /// The data of the next packet, or the end of the connection, which is not authenticated.
    pub(super) async fn receive(&mut self) -> Result<Coming, Cut> {
        let packet = read_packet(&mut self.stream).await?;
        let Some((header, mut payload)) = packet else { return Ok(Coming::End(None)) };
        if let Ok(Form::Clear(answer)) = response::form(&payload) {
            return Err(Cut::Refused(answer.status));
        }
        let Ends { sessions, id, name, .. } = &self.ends;
        let opened = sessions.store().with_key(*id, KeyUse::Receive, |key| {
            packet::open_data(key, &header, &name.session, &mut payload).map(|(data, _)| data.to_vec())
        });
        let data = opened?.map_err(Cut::Untrusted)?;
        self.ends.note(&header)?;
        Ok(Coming::Data(data.into()))
    }
}

impl Ends {
    fn note(&self, header: &PacketHeader) -> Result<(), Cut> {
        let noted = self.seen.lock().unwrap_or_else(PoisonError::into_inner).note(header);
        match noted {
            Nonce::New => Ok(()),
            Nonce::Seen => Err(Cut::Untrusted(DecodeError::Mismatch("the nonce, which was used before,"))),
            Nonce::UsedUp => Err(Cut::Refused(Status::UNKNOWN_KEY)),
        }
    }
}
