//! Data to and from a Content Server under a session's key, which stays where it is: each packet is
//! sealed or opened where the key is exposed. `docs/protocol.md` section 7.5.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rke_host::framing::read_packet;
use rke_proto::tunnel::answer::{self, Form, LongForm};
use rke_proto::tunnel::nonces::Nonce;
use rke_proto::tunnel::packet::{self, MAX_DATA_LEN};
use rke_proto::tunnel::{NonceMemory, PacketHeader};
use rke_proto::{DecodeError, Status};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::confirm::{TunnelName, random};
use crate::sessions::Sessions;
use crate::store::{KeyError, KeyUse, SessionId};

/// Why a tunnel cannot be opened, or ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The session or its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The Content Server does not know the session's key.
    #[error(
        "The Content Server has not confirmed this session's key, so it takes no data under it; open a \
         session with fresh=true when the Content Server can be reached"
    )]
    Unconfirmed,
    /// The connection.
    #[error("The Content Server cannot be reached: {0}")]
    Connection(#[from] io::Error),
    /// It does not want the key any more.
    #[error("The Content Server refused the session's key: {0}; open a session with fresh=true")]
    Refused(Status),
    /// What came back is not under the session's key, or came twice.
    #[error("The Content Server's data cannot be trusted: {0}")]
    Untrusted(DecodeError),
}

type Seen = Arc<Mutex<NonceMemory>>;

/// What both directions need.
#[derive(Clone)]
struct Ends {
    sessions: Arc<Sessions>,
    id: SessionId,
    name: TunnelName,
    seen: Seen,
}

/// The direction to the Content Server.
pub struct Sender {
    ends: Ends,
    stream: OwnedWriteHalf,
}

/// The direction from it.
pub struct Receiver {
    ends: Ends,
    stream: OwnedReadHalf,
}

/// Connects a session to its Content Server. The first packet, without data, says whose key it is.
///
/// # Errors
/// [`TunnelError`].
pub async fn open(sessions: Arc<Sessions>, id: SessionId) -> Result<(Sender, Receiver), TunnelError> {
    let row = sessions.store().row(id).ok_or(KeyError::NotFound)?;
    let name = row.origin.tunnel.clone().ok_or(TunnelError::Unconfirmed)?;
    let stream: TcpStream = sessions.exchange().connect(&name).await?;
    let seen = sessions.seen_under(name.key_id);
    let ends = Ends { sessions, id, name, seen };
    let (incoming, outgoing) = stream.into_split();
    let mut sender = Sender { ends: ends.clone(), stream: outgoing };
    sender.send_packet(&[]).await?;
    Ok((sender, Receiver { ends, stream: incoming }))
}

impl Sender {
    /// Sends data, in as many packets as it takes.
    ///
    /// # Errors
    /// [`TunnelError`].
    pub async fn send(&mut self, data: &[u8]) -> Result<(), TunnelError> {
        for part in data.chunks(MAX_DATA_LEN) {
            self.send_packet(part).await?;
        }
        Ok(())
    }

    /// Says that there is no more.
    ///
    /// # Errors
    /// [`TunnelError::Connection`].
    pub async fn finish(&mut self) -> Result<(), TunnelError> {
        Ok(self.stream.shutdown().await?)
    }

    async fn send_packet(&mut self, data: &[u8]) -> Result<(), TunnelError> {
        let Ends { sessions, id, name, .. } = &self.ends;
        let nonce = random()?;
        let sealed = sessions.store().with_key(*id, KeyUse::Send(data.len()), |key| {
            packet::seal_data(key, name.key_id, &name.session, nonce, data)
        });
        let packet = sealed?.map_err(TunnelError::Untrusted)?;
        // One's own packets must not be taken when they come back.
        self.ends.note(&PacketHeader { payload_len: 0, key_id: self.ends.name.key_id, nonce })?;
        Ok(self.stream.write_all(&packet).await?)
    }
}

impl Receiver {
    /// The data of the next packet. `None` when the Content Server has no more.
    ///
    /// # Errors
    /// [`TunnelError`]; then what came so far may be cut short.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>, TunnelError> {
        let Some((header, mut payload)) = read_packet(&mut self.stream).await? else { return Ok(None) };
        if let Ok(Form::Clear(answer, _)) = answer::form(&payload, LongForm::Encrypted) {
            return Err(TunnelError::Refused(answer.status));
        }
        let Ends { sessions, id, name, .. } = &self.ends;
        let opened = sessions.store().with_key(*id, KeyUse::Receive, |key| {
            packet::open_data(key, &header, &name.session, &mut payload).map(|data| data.to_vec())
        });
        let data = opened?.map_err(TunnelError::Untrusted)?;
        self.ends.note(&header)?;
        Ok(Some(data))
    }
}

impl Ends {
    fn note(&self, header: &PacketHeader) -> Result<(), TunnelError> {
        let noted = self.seen.lock().unwrap_or_else(PoisonError::into_inner).note(header);
        match noted {
            Nonce::New => Ok(()),
            Nonce::Seen => {
                Err(TunnelError::Untrusted(DecodeError::Mismatch("the nonce, which was used before,")))
            }
            Nonce::UsedUp => Err(TunnelError::Refused(Status::UNKNOWN_KEY)),
        }
    }
}
