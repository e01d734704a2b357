//! Data to and from a Content Server in a session. `docs/protocol.md` sections 7 and 8. A session of handshake 3 has
//! [`wide`] tunnels: each connection has transport keys of its own, and the end of the data is authenticated. A live
//! session has [`narrow`] tunnels, which have neither. [`flow`] moves the data through both.

mod flow;
mod narrow;
mod wide;

use std::io;
use std::sync::Arc;

use rke_host::framing::RecordIoError;
use rke_proto::handshake::{BreakCode, Reason, Record};
use rke_proto::{DecodeError, Status};

pub use self::flow::Coming;
use crate::contact::break_off;
use crate::contact::server::ContactError;
use crate::model::server_name::ServerName;
use crate::model::session_id::SessionId;
use crate::sessions::tunnels::OpenTunnel;
use crate::sessions::{Sessions, StoreError};
use crate::store::{KeyError, KeyUse};

/// Why a tunnel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The session or its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store that other machines share has not said that it can.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Content Server has not confirmed a narrow key.
    #[error(
        "The Content Server has not confirmed this session's key, so it takes no data under it; open a \
         session with fresh=true when the Content Server can be reached"
    )]
    Unconfirmed,
    /// The Content Server does not know the session's key. It says so without proof, so the session continues.
    #[error(
        "The Content Server at {0} no longer has this session's key: it has restarted, or the session was \
         deleted there; open a new session"
    )]
    KeyGone(ServerName),
    /// The Content Server cannot be reached, or something else answers there.
    #[error("Cannot open a tunnel to the Content Server at {server}: {reason}")]
    ContentServer {
        /// Where DNS says that it is.
        server: ServerName,
        /// What went wrong.
        reason: ContactError,
    },
}

impl TunnelError {
    fn contact(server: &ServerName, error: ContactError) -> Self {
        match error {
            ContactError::Refused(Reason::NoSuchKey) => Self::KeyGone(server.clone()),
            reason => Self::ContentServer { server: server.clone(), reason },
        }
    }
}

/// Why a tunnel was broken off. None of these is an end of the data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// The session has ended, or all sessions of the daemon.
    #[error("{}", break_off::in_words(*.0))]
    SessionEnded(BreakCode),
    /// The session's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The client's data has no end.
    #[error("{0}")]
    Upload(String),
    /// The client no longer waits for the response.
    #[error("the client hung up before the end")]
    Client,
    /// The Content Server broke it off.
    #[error("the Content Server broke it off: {}", break_off::describe(*code, text))]
    Server {
        code: BreakCode,
        /// The reason in the Content Server's own words.
        text: String,
    },
    /// The connection to the Content Server failed.
    #[error("{0}")]
    Connection(#[from] RecordIoError),
    /// The Content Server no longer accepts a narrow key.
    #[error("the Content Server refused the session's key: {0}")]
    Refused(Status),
    /// A narrow packet is not under the session's key, or arrived twice.
    #[error("the Content Server's data cannot be trusted: {0}")]
    Untrusted(DecodeError),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Connection(RecordIoError::Broken(error))
    }
}

impl Cut {
    /// The reason that is sent to the Content Server. `None` if that broke off itself.
    fn farewell(&self) -> Option<(BreakCode, &'static str)> {
        match self {
            Self::SessionEnded(code) => Some((*code, break_off::in_words(*code))),
            Self::Key(_) => Some((BreakCode::Other, "the session's key cannot be used")),
            Self::Upload(_) | Self::Client => {
                Some((BreakCode::Other, "the client hung up before the end of its data"))
            }
            Self::Connection(_) | Self::Refused(_) | Self::Untrusted(_) => {
                Some((BreakCode::Other, "the data that arrived is incomplete"))
            }
            Self::Server { .. } => None,
        }
    }

    /// The Content Server's reason, if it broke off itself.
    fn by_the_server(&self) -> Option<String> {
        match self {
            Self::Server { code, text } => Some(break_off::describe(*code, text)),
            _ => None,
        }
    }

    /// Whether the connection broke, so that data that arrived before may still be read.
    fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Connection(RecordIoError::Broken(_)))
    }
}

/// An open tunnel.
pub struct Tunnel {
    sessions: Arc<Sessions>,
    id: SessionId,
    open: OpenTunnel,
    sender: Sender,
    receiver: Receiver,
}

/// Connects a session to its Content Server. If the session ends meanwhile, no tunnel is opened.
///
/// # Errors
/// [`TunnelError`].
pub async fn open(sessions: Arc<Sessions>, id: SessionId) -> Result<Tunnel, TunnelError> {
    let mut open = sessions.tunnels().open(id);
    sessions.bring(id, KeyUse::Tunnel).await?;
    let gone = if sessions.are_shared() { KeyError::NotHeld } else { KeyError::NotFound };
    let row = sessions.store().row(id).ok_or(gone)?;
    let connect = async {
        match row.key_id {
            Some(key_id) => wide::attach(&sessions, id, &row, key_id).await,
            None => narrow::connect(&sessions, id, &row).await,
        }
    };
    let connected = tokio::select! {
        biased;
        code = open.cut() => return Err(if code == BreakCode::Other { gone } else { KeyError::NotFound }.into()),
        () = sessions.keep(id) => return Err(KeyError::NotHeld.into()),
        connected = connect => connected,
    };
    match &connected {
        Ok(_) => open.note_key_gone(false),
        Err(TunnelError::KeyGone(_)) => open.note_key_gone(true),
        Err(_) => (),
    }
    let (sender, receiver) = connected?;
    Ok(Tunnel { sessions, id, open, sender, receiver })
}

/// Whether the Content Server has the key of a session of handshake 3. `true` is proven. `false` is not: any program on the way can
/// say so.
///
/// # Errors
/// [`TunnelError`].
pub async fn is_known_there(sessions: &Sessions, id: SessionId) -> Result<bool, TunnelError> {
    let row = sessions.store().row(id).ok_or(KeyError::NotFound)?;
    let key_id = row.key_id.ok_or(TunnelError::Unconfirmed)?;
    match wide::ask(sessions, id, &row, key_id).await {
        Ok(()) => Ok(true),
        Err(TunnelError::KeyGone(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Tunnel {
    /// Whether the end of the data is authenticated.
    pub fn has_an_end(&self) -> bool {
        matches!(self.sender, Sender::Wide(_))
    }
}

/// The direction to the Content Server.
enum Sender {
    Wide(wide::Writer),
    Narrow(narrow::Sender),
}

/// The direction from it.
enum Receiver {
    Wide(wide::Reader),
    Narrow(narrow::Receiver),
}

impl Sender {
    async fn data(&mut self, data: &[u8]) -> Result<(), Cut> {
        match self {
            Self::Wide(writer) => Ok(writer.data(data).await?),
            Self::Narrow(sender) => sender.send(data).await,
        }
    }

    /// Tells the other end that no more data follows.
    async fn end(&mut self) -> Result<(), Cut> {
        match self {
            Self::Wide(writer) => Ok(writer.end(None).await?),
            Self::Narrow(sender) => sender.finish().await,
        }
    }

    /// Tells the other end that this was not the end, or, after the end of the data, that nobody waits for the
    /// response. May follow a call that was dropped while it waited. Returns whether the other end should get time to
    /// read this.
    async fn break_off(self, code: BreakCode, text: &str) -> bool {
        match self {
            // Nothing may follow the end of the data, so a reset has to report it.
            Self::Wide(writer) if writer.is_over() => writer.reset(),
            // If this cannot be sent, the connection is closed without an end: that is a cut too.
            Self::Wide(mut writer) => return writer.break_off(code, text).await.is_ok(),
            Self::Narrow(sender) => sender.break_off(),
        }
        false
    }
}

impl Receiver {
    /// The next data or the end. May be dropped while it waits only if nothing is received after that.
    async fn next(&mut self) -> Result<Coming, Cut> {
        match self {
            Self::Wide(reader) => match reader.next().await? {
                Record::Data(data) => Ok(Coming::Data(data.into())),
                Record::End(status) => Ok(Coming::End(status)),
                Record::BrokenOff { code, text } => Err(Cut::Server { code, text }),
            },
            Self::Narrow(receiver) => receiver.receive().await,
        }
    }

    /// Waits, after the end, until the other end closes.
    async fn closed(&mut self) {
        match self {
            Self::Wide(reader) => drop(reader.closed().await),
            // The other end has closed its direction: that is its end of the data. It may go on reading.
            Self::Narrow(_) => std::future::pending().await,
        }
    }

    /// Reads and discards whatever still arrives, so that the last message to the other end arrives there.
    async fn drain(&mut self) {
        if let Self::Wide(reader) = self {
            reader.drain().await;
        }
    }
}
