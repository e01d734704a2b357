//! How a Content Server is reached that has several addresses: connections as RFC 8305 makes them, and work with one
//! after the other until one has done it.

pub mod server;

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rke_host::until::until;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::server::{ContactError, connect};
use crate::discovery::{Candidate, Candidates, DiscoveryError};
use crate::model::server_name::ServerName;

/// How long an address has for its connection before the next is tried too.
const CONNECT_HEAD_START: Duration = Duration::from_millis(250);

/// How long a server may be silent before another is asked too.
const ANSWER_HEAD_START: Duration = Duration::from_secs(1);

/// Wait before a connection that broke is made again.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// How long reaching a Content Server may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For each address.
    pub(crate) each: Duration,
    /// For all of them.
    pub(crate) all: Instant,
}

/// Why a Content Server was not reached, and which of its places says so, where one is known to.
#[derive(Debug)]
pub(crate) struct Unreached {
    pub(crate) server: Option<ServerName>,
    pub(crate) error: ContactError,
}

impl Unreached {
    fn because(error: io::Error) -> Self {
        Self { server: None, error: ContactError::Connection(error) }
    }
}

/// Makes connections to the addresses of a Content Server.
pub(crate) struct Dialer<'a> {
    candidates: Candidates<'a>,
    each: Duration,
    connecting: FuturesUnordered<BoxFuture<'a, (Candidate, io::Result<TcpStream>)>>,
    /// When the next address is tried although others have not answered yet.
    next_at: Instant,
    /// Whether there are no more addresses.
    is_exhausted: bool,
    /// The most telling.
    failure: Option<Unreached>,
}

impl<'a> Dialer<'a> {
    pub(crate) fn new(candidates: Candidates<'a>, each: Duration) -> Self {
        let (connecting, next_at) = (FuturesUnordered::new(), Instant::now());
        Self { candidates, each, connecting, next_at, is_exhausted: false, failure: None }
    }

    /// The next connection; `None` after the last. Nothing is lost where this is dropped: connections that are being
    /// made are there at the next call.
    pub(crate) async fn next(&mut self) -> Option<(Candidate, TcpStream)> {
        loop {
            if self.connecting.is_empty() {
                self.next_at = Instant::now();
            }
            tokio::select! {
                biased;
                Some((candidate, connected)) = self.connecting.next() => match connected {
                    Ok(stream) => return Some((candidate, stream)),
                    Err(error) => {
                        self.note(candidate.server, error.into());
                        self.next_at = Instant::now();
                    }
                },
                next = next_at(self.next_at, &mut self.candidates), if !self.is_exhausted => match next {
                    Some(Ok(candidate)) => self.begin(candidate),
                    Some(Err((server, error))) => self.note(server, io::Error::other(error).into()),
                    None => self.is_exhausted = true,
                },
                else => return None,
            }
        }
    }

    fn begin(&mut self, candidate: Candidate) {
        let each = self.each;
        self.next_at = Instant::now() + CONNECT_HEAD_START;
        self.connecting.push(Box::pin(async move {
            let connected = timeout(each, connect(candidate.address)).await;
            (candidate, connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
        }));
    }

    fn note(&mut self, server: ServerName, error: ContactError) {
        if self.failure.as_ref().is_none_or(|failure| error.is_more_telling(&failure.error)) {
            self.failure = Some(Unreached { server: Some(server), error });
        }
    }

    /// Why there is no connection, after the last.
    pub(crate) fn into_failure(self) -> Unreached {
        self.failure.unwrap_or_else(|| Unreached::because(io::Error::other("its name has no address")))
    }
}

async fn next_at(
    at: Instant,
    candidates: &mut Candidates<'_>,
) -> Option<Result<Candidate, (ServerName, DiscoveryError)>> {
    until(at).await;
    candidates.next().await
}

/// Does `work` on connections that `dialer` makes, one after the other, until one has done it. The next is begun where
/// one fails, or is silent for long. A connection that breaks is made again.
pub(crate) async fn with_each<R, F: Future<Output = Result<R, ContactError>>>(
    mut dialer: Dialer<'_>,
    first: Option<(Candidate, TcpStream)>,
    patience: Patience,
    work: impl Fn(Candidate, TcpStream) -> F,
) -> Result<(ServerName, R), Unreached> {
    let mut running = FuturesUnordered::new();
    let begin =
        |(candidate, stream): (Candidate, TcpStream)| work_at(candidate, stream, patience.each, &work);
    running.extend(first.map(begin));
    let mut next_at = Instant::now() + if running.is_empty() { Duration::ZERO } else { ANSWER_HEAD_START };
    let mut is_exhausted = false;
    while !(is_exhausted && running.is_empty()) {
        tokio::select! {
            biased;
            Some((server, done)) = running.next() => match done {
                Ok(done) => return Ok((server, done)),
                Err(error) => {
                    dialer.note(server, error);
                    next_at = Instant::now();
                }
            },
            connection = next_connection(next_at, &mut dialer), if !is_exhausted => match connection {
                Some(connection) => {
                    running.push(begin(connection));
                    next_at = Instant::now() + ANSWER_HEAD_START;
                }
                None => is_exhausted = true,
            },
            () = sleep_until(patience.all) => {
                return Err(dialer.failure.unwrap_or_else(|| Unreached::because(io::ErrorKind::TimedOut.into())));
            }
        }
    }
    Err(dialer.into_failure())
}

async fn next_connection(at: Instant, dialer: &mut Dialer<'_>) -> Option<(Candidate, TcpStream)> {
    until(at).await;
    dialer.next().await
}

async fn work_at<R, F: Future<Output = Result<R, ContactError>>>(
    candidate: Candidate,
    stream: TcpStream,
    limit: Duration,
    work: &impl Fn(Candidate, TcpStream) -> F,
) -> (ServerName, Result<R, ContactError>) {
    let mut broken = None;
    let tries = async {
        let mut stream = stream;
        loop {
            match work(candidate.clone(), stream).await {
                Err(error) if error.is_broken() => broken = Some(error),
                ended => return ended,
            }
            sleep(RETRY_WAIT).await;
            stream = connect(candidate.address).await?;
        }
    };
    let ended = timeout(limit, tries).await;
    let in_time = || ContactError::Connection(io::ErrorKind::TimedOut.into());
    (candidate.server, ended.unwrap_or_else(|_| Err(broken.unwrap_or_else(in_time))))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use rke_proto::handshake::Response;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::contact::server::ask_on;

    const BUSY: &[u8] = b"RKE3\x82\x00\x01\x06";
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

    /// Takes connections and says nothing as long as it lives.
    async fn silent() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    fn dialer(addresses: &[SocketAddr]) -> Dialer<'static> {
        let servers = addresses.iter().map(|address| ServerName { host: "h".into(), port: address.port() });
        let look_up = async |server: ServerName| Ok(vec![(Ipv4Addr::LOCALHOST, server.port).into()]);
        Dialer::new(Candidates::new(servers.collect(), look_up), LIMIT)
    }

    async fn ask(_: Candidate, mut stream: TcpStream) -> Result<&'static str, ContactError> {
        match ask_on(&mut stream, b"RKE3").await? {
            Response::Refused(reason) => Err(ContactError::Refused(reason)),
            _ => Ok("done"),
        }
    }

    async fn said(addresses: &[SocketAddr], all: Duration) -> String {
        let patience = Patience { each: LIMIT, all: Instant::now() + all };
        let ended = with_each(dialer(addresses), None, patience, ask).await;
        let Unreached { server, error } = ended.expect_err("no Content Server is there");
        format!("{}: {error}", server.map_or(0, |server| server.port))
    }

    #[tokio::test]
    async fn the_reason_is_that_of_the_address_that_said_most() {
        let (nobody, closing) = (nobody().await, answering(b"").await);
        let (busy, http) = (answering(BUSY).await, answering(b"HTTP/1.1 400 Bad").await);
        for (addresses, of, reason) in [
            (&[nobody][..], nobody.port(), "it refuses connections"),
            (&[closing], closing.port(), "the connection was closed before the response"),
            (&[nobody, busy, nobody], busy.port(), "it refused: it is busy"),
            (
                &[http, nobody],
                http.port(),
                "what answers there is not the Content Server, or is another version of it",
            ),
            (&[], 0, "its name has no address"),
        ] {
            assert_eq!(said(addresses, LIMIT * 20).await, format!("{of}: {reason}"));
        }
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_take_the_time_of_the_next() {
        let (_listener, silent) = silent().await;
        let busy = answering(BUSY).await;
        assert_eq!(said(&[silent], LIMIT * 20).await, format!("{}: no response in time", silent.port()));
        assert_eq!(
            said(&[silent, busy], LIMIT * 20).await,
            format!("{}: it refused: it is busy", busy.port())
        );
    }

    #[tokio::test]
    async fn all_addresses_together_have_one_deadline() {
        let (_listener, silent) = silent().await;
        let began = Instant::now();
        let long = Patience { each: Duration::from_secs(600), all: began + LIMIT };
        let ended = with_each(dialer(&[silent; 8]), None, long, ask).await;
        assert_eq!(ended.expect_err("nobody").error.to_string(), "no response in time");
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_server_that_answers_is_found_behind_others_that_do_not() {
        let ((_listener, silent), nobody, good) = (silent().await, nobody().await, answering(b"x").await);
        let patience =
            Patience { each: Duration::from_secs(600), all: Instant::now() + Duration::from_secs(60) };
        let work = async |candidate: Candidate, mut stream: TcpStream| {
            stream.write_all(b"RKE3").await?;
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
            Ok(candidate.address)
        };
        let ended = with_each(dialer(&[nobody, silent, nobody, good]), None, patience, work).await;
        assert_eq!(ended.expect("an answer").1, good);
    }
}
