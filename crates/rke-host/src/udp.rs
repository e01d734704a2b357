//! Runs a [`Round`] over UDP: one loop that owns the sockets, the resends and the deadline.
//! One socket for each address family in use serves all recipients.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rke_proto::RaidaIndex;
use rke_proto::round::{Fault, MAX_DATAGRAM_LEN, Outcome, Progress, Round};
use rke_secret::scoped;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Enough have answered.
    Ready,
    /// Enough answers could not come any more.
    Hopeless,
    /// The deadline came first.
    TimedOut,
}

/// What happens to one RAIDA while a round runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was asked, or asked again.
    Asked(RaidaIndex),
    /// Its answer was verified, or it cannot be reached.
    Settled(RaidaIndex, Result<Duration, Fault>),
}

/// Is told each step. Called in the middle of the exchange, so it must not take long.
pub type Watcher<'a> = &'a (dyn Fn(Step) + Sync);

/// Sends, receives and resends until the round has ended or `deadline` has come.
///
/// # Errors
/// As [`Courier::run`].
pub async fn run(round: &mut Round, deadline: Instant) -> io::Result<Ended> {
    Courier::new(&|_| ()).run(round, deadline).await
}

/// Carries the datagrams of one round, which may go on after it had ended.
pub struct Courier<'a> {
    started: Instant,
    sockets: Sockets,
    watcher: Watcher<'a>,
}

impl<'a> Courier<'a> {
    /// A courier that has somebody watch.
    pub fn new(watcher: Watcher<'a>) -> Self {
        Self { started: Instant::now(), sockets: Sockets::default(), watcher }
    }

    /// The round's time.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sends, receives and resends until the round has ended or `deadline` has come.
    ///
    /// # Errors
    /// When no socket can be opened, or there is no secret memory. Trouble with single recipients is
    /// noted in the round.
    pub async fn run(&mut self, round: &mut Round, deadline: Instant) -> io::Result<Ended> {
        let Self { started, sockets, watcher } = self;
        let started = *started;
        loop {
            let now = started.elapsed();
            let mut unreachable = Vec::new();
            for (raida, endpoint, datagram) in round.take_due(now) {
                match sockets.send(endpoint, datagram).await {
                    Ok(()) => watcher(Step::Asked(raida)),
                    Err(SendError::NoSocket(error)) => return Err(error),
                    Err(SendError::Unreachable) => unreachable.push(raida),
                }
            }
            for raida in unreachable {
                round.note_unreachable(raida, started.elapsed());
                watcher(Step::Settled(raida, Err(Fault::Unreachable)));
            }
            let until = match round.progress(started.elapsed()) {
                Progress::Ready => return Ok(Ended::Ready),
                Progress::Hopeless => return Ok(Ended::Hopeless),
                Progress::Waiting { until } => (started + until).min(deadline),
            };
            tokio::select! {
                // Who waits for an answer need not set a timer where there is one already.
                biased;
                socket = sockets.readable() => for outcome in receive(socket?, round, started)? {
                    watcher(Step::Settled(outcome.raida, outcome.result));
                },
                () = tokio::time::sleep_until(until) => (),
            }
            if Instant::now() >= deadline {
                return Ok(if round.is_satisfied() { Ended::Ready } else { Ended::TimedOut });
            }
        }
    }
}

/// Datagrams that are taken in before the scratch stack is wiped: all answers of a round, and some more.
const AT_ONCE: usize = 32;

/// Takes in the datagrams that wait at `socket`. They land on a scratch stack, because a share is decrypted
/// where it lies. Gives what has become of their senders, where they say so.
fn receive(socket: &UdpSocket, round: &mut Round, started: Instant) -> io::Result<Vec<Outcome>> {
    let settled = scoped(|| {
        let (mut datagram, mut settled) = ([0; MAX_DATAGRAM_LEN], Vec::new());
        for _ in 0..AT_ONCE {
            match socket.try_recv_from(&mut datagram) {
                Ok((len, from)) => {
                    settled.extend(round.receive(from, &mut datagram[..len], started.elapsed()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // It is about an earlier datagram that could not be delivered.
                Err(_) => (),
            }
        }
        settled
    })?;
    Ok(settled)
}

/// At most one socket for each address family, opened when first needed.
#[derive(Default)]
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

enum SendError {
    NoSocket(io::Error),
    Unreachable,
}

impl Sockets {
    async fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> Result<(), SendError> {
        let (socket, any): (_, SocketAddr) = match to {
            SocketAddr::V4(_) => (&mut self.v4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (&mut self.v6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let socket = match socket {
            Some(socket) => socket,
            None => match UdpSocket::bind(any).await {
                Ok(bound) => socket.insert(bound),
                // A machine without IPv6 can still ask the others.
                Err(_) if to.is_ipv6() => return Err(SendError::Unreachable),
                Err(error) => return Err(SendError::NoSocket(error)),
            },
        };
        match socket.send_to(datagram, to).await {
            Err(error) if is_final(error.kind()) => Err(SendError::Unreachable),
            // Anything else, a full buffer say, is a lost datagram: the resend makes up for it.
            _ => Ok(()),
        }
    }

    /// Waits until one of the sockets has a datagram.
    async fn readable(&self) -> io::Result<&UdpSocket> {
        let readable = async |socket: &Option<UdpSocket>| match socket {
            Some(socket) => socket.readable().await,
            None => std::future::pending().await,
        };
        let socket = tokio::select! {
            ready = readable(&self.v4) => ready.map(|()| &self.v4)?,
            ready = readable(&self.v6) => ready.map(|()| &self.v6)?,
        };
        socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

fn is_final(kind: ErrorKind) -> bool {
    use ErrorKind::{AddrNotAvailable, HostUnreachable, InvalidInput, NetworkUnreachable, PermissionDenied};
    matches!(kind, AddrNotAvailable | HostUnreachable | InvalidInput | NetworkUnreachable | PermissionDenied)
}
