//! Data to and from a Content Server in a session. `docs/protocol.md` sections 7 and 8. A session of handshake 3 has
//! [`wide`] tunnels, whose connection holds transport keys of its own and whose data has an authenticated end; a live
//! one has [`narrow`] tunnels, which have neither. What moves through either is in [`flow`].

mod flow;
mod narrow;
mod wide;

use std::io;
use std::sync::Arc;

use rke_host::framing::RecordIoError;
use rke_proto::handshake::{BreakCode, Reason, Record};
use rke_proto::{DecodeError, Status};

pub use self::flow::Coming;
use crate::contact::server::ContactError;
use crate::model::server_name::ServerName;
use crate::model::session_id::SessionId;
use crate::sessions::Sessions;
use crate::sessions::tunnels::OpenTunnel;
use crate::store::KeyError;

/// Why a tunnel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The session or its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The Content Server has not confirmed a narrow key.
    #[error(
        "The Content Server has not confirmed this session's key, so it takes no data under it; open a \
         session with fresh=true when the Content Server can be reached"
    )]
    Unconfirmed,
    /// The Content Server does not know the session's key. It says so without proof, so the session goes on.
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
        /// What kept it.
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

/// Why a tunnel was broken off. Nothing of this is an end of the data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// The session has ended, or all sessions of the daemon.
    #[error("{}", in_words(*.0))]
    SessionEnded(BreakCode),
    /// The session's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The client's request was not whole, or the client does not wait for the response.
    #[error("the client hung up before the end")]
    Client,
    /// The Content Server says so.
    #[error("the Content Server broke it off: {}", said(*code, text))]
    Server {
        /// Why.
        code: BreakCode,
        /// The same in its own words.
        text: String,
    },
    /// The connection to the Content Server.
    #[error("{0}")]
    Connection(#[from] RecordIoError),
    /// The Content Server no longer accepts a narrow key.
    #[error("the Content Server refused the session's key: {0}")]
    Refused(Status),
    /// A narrow packet is not under the session's key, or came twice.
    #[error("the Content Server's data cannot be trusted: {0}")]
    Untrusted(DecodeError),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Connection(RecordIoError::Broken(error))
    }
}

impl Cut {
    /// What the Content Server hears. `None` where it broke off itself.
    fn farewell(&self) -> Option<(BreakCode, &'static str)> {
        match self {
            Self::SessionEnded(code) => Some((*code, in_words(*code))),
            Self::Key(_) => Some((BreakCode::Other, "the session's key cannot be used")),
            Self::Client => Some((BreakCode::Other, "the client hung up before the end of its data")),
            Self::Connection(_) | Self::Refused(_) | Self::Untrusted(_) => {
                Some((BreakCode::Other, "the data that came is not whole"))
            }
            Self::Server { .. } => None,
        }
    }

    /// What the Content Server says where it broke off itself.
    fn by_the_server(&self) -> Option<String> {
        match self {
            Self::Server { code, text } => Some(said(*code, text)),
            _ => None,
        }
    }

    /// Whether the connection broke, so that what has come before may still be read.
    fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Connection(RecordIoError::Broken(_)))
    }
}

fn in_words(code: BreakCode) -> &'static str {
    match code {
        BreakCode::Deleted => "the session was deleted",
        BreakCode::Expired => "the session has expired",
        BreakCode::Stopping => "this end stops",
        BreakCode::Idle => "nothing has moved for too long",
        BreakCode::NoApplication => "there is no application, or it failed",
        BreakCode::Other => "for another reason",
    }
}

/// The other end's own words, which cannot command a terminal, or those for its code where it has none.
fn said(code: BreakCode, text: &str) -> String {
    match text {
        "" => in_words(code).to_owned(),
        text => text.replace(char::is_control, "\u{fffd}"),
    }
}

/// A tunnel that is open.
pub struct Tunnel {
    sessions: Arc<Sessions>,
    id: SessionId,
    open: OpenTunnel,
    sender: Sender,
    receiver: Receiver,
}

/// Connects a session to its Content Server. Where the session ends meanwhile, there is no tunnel.
///
/// # Errors
/// [`TunnelError`].
pub async fn open(sessions: Arc<Sessions>, id: SessionId) -> Result<Tunnel, TunnelError> {
    let mut open = sessions.tunnels().open(id);
    let row = sessions.store().row(id).ok_or(KeyError::NotFound)?;
    let connect = async {
        match row.key_id {
            Some(key_id) => wide::attach(&sessions, id, &row, key_id).await,
            None => narrow::connect(&sessions, id, &row).await,
        }
    };
    let (sender, receiver) = tokio::select! {
        biased;
        _ = open.cut() => return Err(KeyError::NotFound.into()),
        connected = connect => connected?,
    };
    Ok(Tunnel { sessions, id, open, sender, receiver })
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

    /// Says that there is no more.
    async fn end(&mut self) -> Result<(), Cut> {
        match self {
            Self::Wide(writer) => Ok(writer.end(None).await?),
            Self::Narrow(sender) => sender.finish().await,
        }
    }

    /// Says that this was not the end, or, after the end of the data, that nobody waits for the response. May follow a call
    /// that was dropped while it waited. Gives whether the other end is to read what was said.
    async fn break_off(self, code: BreakCode, text: &str) -> bool {
        match self {
            // Nothing may follow the end, so the reset has to say it.
            Self::Wide(writer) if writer.is_over() => writer.reset(),
            // Where it cannot be said, the connection is closed without an end: that is a cut too.
            Self::Wide(mut writer) => return writer.break_off(code, text).await.is_ok(),
            Self::Narrow(sender) => sender.break_off(),
        }
        false
    }
}

impl Receiver {
    /// What comes next. May be dropped while it waits where nothing is received after that.
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
            // Its end is that it has closed its direction. It may go on reading.
            Self::Narrow(_) => std::future::pending().await,
        }
    }

    /// Reads and throws away what still comes, so that the last words to the other end arrive there.
    async fn drain(&mut self) {
        if let Self::Wide(reader) = self {
            reader.drain().await;
        }
    }
}
