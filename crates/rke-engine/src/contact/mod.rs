//! How a Content Server with several addresses is reached: connections are made as in RFC 8305, and work is tried on
//! one after the other until one succeeds.

pub(crate) mod break_off;
pub mod server;

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rke_host::until::wait_until;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::server::{ContactError, connect};
use crate::discovery::{Candidate, Candidates, DiscoveryError};
use crate::model::server_name::ServerName;

/// How long an address has for its connection before the next one is tried too.
const CONNECT_HEAD_START: Duration = Duration::from_millis(250);

/// How long a server may stay silent before another is asked too.
const ANSWER_HEAD_START: Duration = Duration::from_secs(1);

/// The wait before a broken connection is made again.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// The time limits for reaching a Content Server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimits {
    /// For each address.
    pub(crate) each: Duration,
    /// For all of them.
    pub(crate) all: Instant,
}

/// Why a Content Server was not reached, and at which of its targets, if one is known.
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
    /// When the next address is tried even if others have not answered yet.
    next_at: Instant,
    /// Whether no more addresses are left.
    is_exhausted: bool,
    /// The most telling failure.
    failure: Option<Unreached>,
}

impl<'a> Dialer<'a> {
    pub(crate) fn new(candidates: Candidates<'a>, each: Duration) -> Self {
        let (connecting, next_at) = (FuturesUnordered::new(), Instant::now());
        Self { candidates, each, connecting, next_at, is_exhausted: false, failure: None }
    }

    /// The next connection; `None` after the last. Dropping the future loses nothing: connections in progress are kept
    /// for the next call.
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

    /// Why there is no connection, after the last one.
    pub(crate) fn into_failure(self) -> Unreached {
        self.failure.unwrap_or_else(|| Unreached::because(io::Error::other("its name has no address")))
    }
}

async fn next_at(
    at: Instant,
    candidates: &mut Candidates<'_>,
) -> Option<Result<Candidate, (ServerName, DiscoveryError)>> {
    wait_until(at).await;
    candidates.next().await
}

/// Does `work` on the connections that `dialer` makes, one after the other, until one succeeds. The next one begins if
/// one fails, or is silent for long. A connection that breaks is made again.
pub(crate) async fn with_each<R, F: Future<Output = Result<R, ContactError>>>(
    mut dialer: Dialer<'_>,
    first: Option<(Candidate, TcpStream)>,
    limits: TimeLimits,
    work: impl Fn(Candidate, TcpStream) -> F,
) -> Result<(ServerName, R), Unreached> {
    let mut running = FuturesUnordered::new();
    let begin = |(candidate, stream): (Candidate, TcpStream)| work_at(candidate, stream, limits.each, &work);
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
            () = sleep_until(limits.all) => {
                return Err(dialer.failure.unwrap_or_else(|| Unreached::because(io::ErrorKind::TimedOut.into())));
            }
        }
    }
    Err(dialer.into_failure())
}

async fn next_connection(at: Instant, dialer: &mut Dialer<'_>) -> Option<(Candidate, TcpStream)> {
    wait_until(at).await;
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
mod tests;
