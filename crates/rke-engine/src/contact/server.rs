//! The messages to a Content Server over TCP in handshake 3: a first packet and its response, and the end records that
//! confirm a new session. `docs/protocol.md` section 7.

use std::io;
use std::net::SocketAddr;

use rke_host::framing::{RecordIoError, RecordReader, RecordWriter, read_response};
use rke_proto::handshake::{AgreementError, BreakCode, HandshakeError, Reason, Record, Response, Transport};
use rke_secret::SecretError;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::break_off;

/// Why a Content Server did not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// No response.
    #[error("{}", in_words(.0))]
    Connection(io::Error),
    /// A refusal. It is not authenticated: anyone on the path can send it.
    #[error("it refused: {0}")]
    Refused(Reason),
    /// It has begun, and broke off with this reason, which is authenticated.
    #[error("it broke off: {}", break_off::describe(*code, text))]
    BrokenOff {
        /// The reason.
        code: BreakCode,
        /// The same in its own words.
        text: String,
    },
    /// What answers is another program, or does not have the same key.
    #[error("the program there is not the Content Server, or is another version of it")]
    AnotherProgram,
    /// It has other shares, and cannot prove which are right.
    #[error("it cannot prove which shares are right; it says that {right} are")]
    Unproven {
        /// How many are right, according to the Content Server.
        right: usize,
    },
    /// This machine failed.
    #[error("{0}")]
    Secret(#[from] SecretError),
}

/// The system's error about a connection, in words for people.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "it refuses connections".into(),
        io::ErrorKind::TimedOut => "no response in time".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection was closed before the response".into()
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "it is unreachable".into(),
        _ => error.to_string(),
    }
}

impl From<io::Error> for ContactError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::AnotherProgram,
            _ => Self::Connection(error),
        }
    }
}

impl From<HandshakeError> for ContactError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Secret(error) => Self::Secret(error),
            HandshakeError::WrongPsk | HandshakeError::Malformed(_) => Self::AnotherProgram,
        }
    }
}

impl From<AgreementError> for ContactError {
    fn from(error: AgreementError) -> Self {
        match error {
            AgreementError::Refused(reason) => Self::Refused(reason),
            AgreementError::NotTheServer(error) => error.into(),
            AgreementError::Unexpected => Self::AnotherProgram,
            AgreementError::Unproven { right } => Self::Unproven { right },
        }
    }
}

impl From<RecordIoError> for ContactError {
    fn from(error: RecordIoError) -> Self {
        match error {
            RecordIoError::Broken(error) => Self::Connection(error),
            RecordIoError::Cut => Self::Connection(io::ErrorKind::UnexpectedEof.into()),
            RecordIoError::Record(_) => Self::AnotherProgram,
        }
    }
}

impl ContactError {
    /// Whether the connection broke, so that a new one may succeed.
    pub(crate) fn is_broken(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let Self::Connection(error) = self else { return false };
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    }

    /// Whether it says more than `than`: a response says more than no response.
    pub(crate) fn is_more_telling(&self, than: &Self) -> bool {
        !matches!(self, Self::Connection(_)) || matches!(than, Self::Connection(_))
    }
}

/// Sends a first packet on a new connection, and reads the response.
pub(crate) async fn ask_on(stream: &mut TcpStream, packet: &[u8]) -> Result<Response, ContactError> {
    stream.write_all(packet).await?;
    Ok(read_response(stream).await?)
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends the end record that confirms a new session, and waits for the server's: then both have the key.
pub(crate) async fn confirm(mut stream: TcpStream, transport: Transport) -> Result<(), ContactError> {
    // The halves are borrowed: an owned half would close its own direction before the whole connection is closed.
    let (incoming, outgoing) = stream.split();
    let mut reader = RecordReader::new(incoming, transport.opener);
    RecordWriter::new(outgoing, transport.sealer).end(None).await?;
    match reader.next().await? {
        Record::End(_) => Ok(()),
        Record::BrokenOff { code, text } => Err(ContactError::BrokenOff { code, text }),
        Record::Data(_) => Err(ContactError::AnotherProgram),
    }
}
