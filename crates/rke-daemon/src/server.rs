//! What is said to a Content Server over TCP by handshake 3: a first packet and its response, and the ends by which a
//! new session is confirmed. `docs/protocol.md` section 7.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rke_host::framing::{RecordIoError, RecordReader, RecordWriter, read_response};
use rke_proto::handshake::{AgreementError, HandshakeError, Reason, Record, Response, Transport};
use rke_secret::SecretError;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Wait before a connection that broke is made again.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// Where DNS says that a Content Server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerName {
    /// A host name or an address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Why a Content Server did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// Nobody answered.
    #[error("{}", in_words(.0))]
    Connection(io::Error),
    /// What answered said no. Not authenticated: anyone on the path can send it.
    #[error("it refused: {0}")]
    Refused(Reason),
    /// What answered is something else, or does not have the same key.
    #[error("what answers there is not the Content Server, or is another version of it")]
    AnotherProgram,
    /// It has other shares, and cannot show which.
    #[error("it cannot show which shares are right; {right} of them, it says")]
    Unproven {
        /// How many are right, it says.
        right: usize,
    },
    /// This machine's fault.
    #[error("{0}")]
    Secret(#[from] SecretError),
}

/// What the system says of a connection, in the words of a person.
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
    /// Whether the connection broke, so that another one may do.
    fn is_broken(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let Self::Connection(error) = self else { return false };
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    }
}

/// Sends a first packet on a connection of its own, and reads the response.
pub(crate) async fn ask(address: SocketAddr, packet: &[u8]) -> Result<(TcpStream, Response), ContactError> {
    let mut stream = connect(&[address]).await?;
    let response = ask_on(&mut stream, packet).await?;
    Ok((stream, response))
}

/// The same on a connection that is there already.
pub(crate) async fn ask_on(stream: &mut TcpStream, packet: &[u8]) -> Result<Response, ContactError> {
    stream.write_all(packet).await?;
    Ok(read_response(stream).await?)
}

/// A connection to the first of these addresses that accepts one.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends the end that confirms a new session and waits for the server's: then both have the key.
pub(crate) async fn confirm(mut stream: TcpStream, transport: Transport) -> Result<(), ContactError> {
    // Halves that are borrowed: one that is owned would close its direction first, and the connection after it.
    let (incoming, outgoing) = stream.split();
    let mut reader = RecordReader::new(incoming, transport.opener);
    RecordWriter::new(outgoing, transport.sealer).end(None).await?;
    match reader.next().await? {
        Record::End(_) => Ok(()),
        Record::Data(_) | Record::BrokenOff { .. } => Err(ContactError::AnotherProgram),
    }
}

/// Does `work` with one address after the other until it is done; each has `limit`. A connection that breaks is made
/// again. Gives the error of the last, or of one that answered.
pub(crate) async fn with_each<R, F: Future<Output = Result<R, ContactError>>>(
    addresses: &[SocketAddr],
    limit: Duration,
    mut work: impl FnMut(SocketAddr) -> F,
) -> Result<R, ContactError> {
    let mut failure = ContactError::Connection(io::Error::other("its name has no address"));
    for address in addresses {
        let mut broken = None;
        let tries = async {
            loop {
                match work(*address).await {
                    Err(error) if error.is_broken() => broken = Some(error),
                    ended => return ended,
                }
                sleep(RETRY_WAIT).await;
            }
        };
        let ended = timeout(limit, tries).await;
        let in_time = || ContactError::Connection(io::ErrorKind::TimedOut.into());
        match ended.unwrap_or_else(|_| Err(broken.unwrap_or_else(in_time))) {
            Ok(done) => return Ok(done),
            Err(error) if is_more_telling(&error, &failure) => failure = error,
            Err(_) => (),
        }
    }
    Err(failure)
}

/// One that answered says more than one that did not.
fn is_more_telling(error: &ContactError, than: &ContactError) -> bool {
    !matches!(error, ContactError::Connection(_)) || matches!(than, ContactError::Connection(_))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    /// A listener that answers each connection with these bytes and closes it.
    async fn answering(bytes: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 64]).await;
                let _ = stream.write_all(bytes).await;
            }
        });
        address
    }

    async fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        listener.local_addr().expect("an address")
    }

    async fn refused(address: SocketAddr) -> Result<(), ContactError> {
        match ask(address, b"RKE3").await?.1 {
            Response::Refused(reason) => Err(ContactError::Refused(reason)),
            _ => Ok(()),
        }
    }

    async fn said(addresses: &[SocketAddr]) -> String {
        with_each(addresses, LIMIT, refused).await.expect_err("no Content Server is there").to_string()
    }

    #[tokio::test]
    async fn the_reason_is_that_of_the_address_that_said_most() {
        let (nobody, closing) = (nobody().await, answering(b"").await);
        let (busy, http) = (answering(b"RKE3\x82\x00\x01\x06").await, answering(b"HTTP/1.1 400 Bad").await);
        assert_eq!(said(&[nobody]).await, "it refuses connections");
        assert_eq!(said(&[closing]).await, "the connection was closed before the response");
        assert_eq!(said(&[nobody, busy, nobody]).await, "it refused: it is busy");
        assert_eq!(
            said(&[http, nobody]).await,
            "what answers there is not the Content Server, or is another version of it"
        );
        assert_eq!(said(&[]).await, "its name has no address");
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_take_the_time_of_the_next() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = silent.local_addr().expect("an address");
        assert_eq!(said(&[address]).await, "no response in time");
        assert_eq!(
            said(&[address, answering(b"RKE3\x82\x00\x01\x06").await]).await,
            "it refused: it is busy"
        );
    }
}
