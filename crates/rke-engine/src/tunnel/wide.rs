//! Attaches to a session of handshake 3: a connection with its own transport keys. `docs/protocol.md` section 7.

use rke_host::framing::{RecordReader, RecordWriter, records};
use rke_proto::handshake::keys::write_attach_psk;
use rke_proto::handshake::{BreakCode, EphemeralKey, Initiator, KeyId, Prologue, Response};
use rke_secret::Secret;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Receiver, Sender, TunnelError};
use crate::contact::server::{ContactError, ask_on};
use crate::contact::with_each;
use crate::model::session_id::SessionId;
use crate::sessions::Sessions;
use crate::store::{KeyError, KeyUse, SessionInfo};

pub(super) type Reader = RecordReader<OwnedReadHalf>;
pub(super) type Writer = RecordWriter<OwnedWriteHalf>;

/// A session for a connection to attach to.
struct Attachment<'a> {
    sessions: &'a Sessions,
    id: SessionId,
    prologue: Prologue,
    domain: &'a str,
}

/// Connects an application to the first address of the Content Server that has the session's key.
pub(super) async fn attach(
    sessions: &Sessions,
    id: SessionId,
    row: &SessionInfo,
    key_id: KeyId,
) -> Result<(Sender, Receiver), TunnelError> {
    let (reader, mut writer) = connect(sessions, id, row, key_id).await?;
    // The other end starts nothing until it has opened a record.
    let begun = writer.data(&[]).await;
    begun.map_err(|error| TunnelError::contact(&row.origin.server, error.into()))?;
    Ok((Sender::Wide(writer), Receiver::Wide(reader)))
}

/// Lets the Content Server prove that it has the session's key, and hangs up before it starts an application.
pub(super) async fn ask(
    sessions: &Sessions,
    id: SessionId,
    row: &SessionInfo,
    key_id: KeyId,
) -> Result<(), TunnelError> {
    let (_reader, mut writer) = connect(sessions, id, row, key_id).await?;
    // The proof is there, whether or not this arrives.
    let _ = writer.break_off(BreakCode::Other, "it only asked for the session").await;
    Ok(())
}

async fn connect(
    sessions: &Sessions,
    id: SessionId,
    row: &SessionInfo,
    key_id: KeyId,
) -> Result<(Reader, Writer), TunnelError> {
    let server = &row.origin.server;
    let contact = |error| TunnelError::contact(server, error);
    let exchange = sessions.exchange();
    let prologue = Prologue::Attach { cs_id: row.origin.cs_id, id: key_id };
    let attachment = Attachment { sessions, id, prologue, domain: row.origin.domain.as_str() };
    let work = |_, stream| attachment.begin_on(stream);
    let attached = with_each(exchange.dialer_at(server), None, exchange.time_limits(), work).await;
    let (_, attached) = attached.map_err(|unreached| contact(unreached.error))?;
    Ok(attached?)
}

impl Attachment<'_> {
    /// Attaches on one connection. The inner error is about the session.
    async fn begin_on(
        &self,
        mut stream: TcpStream,
    ) -> Result<Result<(Reader, Writer), KeyError>, ContactError> {
        let (initiator, packet) = match self.handshake()? {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        let message = match ask_on(&mut stream, &packet).await? {
            Response::Accepted(message) => message,
            Response::Refused(reason) => return Err(ContactError::Refused(reason)),
            Response::Checked { .. } | Response::Forgotten { .. } => {
                return Err(ContactError::AnotherProgram);
            }
        };
        Ok(Ok(records(stream, initiator.receive(&message)?.transport)))
    }

    /// A new handshake. Until the first message is made, the psk exists only where K is exposed and in its own slot.
    fn handshake(&self) -> Result<Result<(Initiator, Vec<u8>), KeyError>, ContactError> {
        let mut psk = Secret::zeros()?;
        let write = |key: &[u8; 32]| psk.expose_mut(|psk| write_attach_psk(key, psk));
        match self.sessions.store().with_root(self.id, KeyUse::Tunnel, write) {
            Ok(Some(())) => (),
            Ok(None) => return Ok(Err(KeyError::NotFound)),
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(Initiator::begin(&self.prologue, &psk, EphemeralKey::random()?, self.domain)?))
    }
}
