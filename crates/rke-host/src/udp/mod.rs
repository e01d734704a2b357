//! Runs a [`Round`] over UDP: one loop that owns the sockets, the resends and the deadline.
//! One socket for each address family in use serves all recipients, and then the next round.

mod address;
mod icmp;

use std::io::{self, ErrorKind};
use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rke_proto::round::{Fault, MAX_DATAGRAM_LEN, Outcome, Progress, Round};
use rke_proto::{Bitmap, RaidaIndex};
use rke_secret::scoped;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

pub use self::address::socket_address;

/// Rounds that run at one time; further ones wait, so that many rounds do not need many sockets.
pub const MAX_ROUNDS: usize = 64;

/// The most datagrams of earlier rounds that are discarded before the next, so that a constant sender cannot delay it.
const MOST_DRAINED: usize = 256;

/// An error about an earlier datagram, to any recipient, is returned once by the next send. So an error that is returned
/// this many times in a row is about this datagram.
const TRIES_TO_SEND: usize = 4;

/// Rounds whose sockets stay open for later ones.
const KEPT: usize = 8;

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Enough RAIDAs have responded.
    Ready,
    /// Enough responses can no longer come.
    Hopeless,
    /// The deadline came first.
    TimedOut,
}

/// A step of a round, about one RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A request was sent or resent to it.
    Asked(RaidaIndex),
    /// Its response was verified, or it cannot be reached.
    Settled(RaidaIndex, Result<Duration, Fault>),
}

/// Receives each step. It is called in the middle of the exchange, so it must be quick.
pub type Watcher<'a> = &'a (dyn Fn(Step) + Sync);

/// Sends, receives and resends until the round has ended or `deadline` has come.
///
/// # Errors
/// As [`Courier::run`].
pub async fn run(pool: &Pool, round: &mut Round, deadline: Instant) -> io::Result<Ended> {
    match timeout_at(deadline, pool.take()).await {
        Ok(seat) => Courier::new(seat, &|_| ()).run(round, deadline).await,
        Err(_) => Ok(Ended::TimedOut),
    }
}

/// The sockets of all rounds.
pub struct Pool {
    seats: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Sockets>>>,
}

impl Default for Pool {
    /// No sockets yet.
    fn default() -> Self {
        Self { seats: Arc::new(Semaphore::new(MAX_ROUNDS)), idle: Arc::default() }
    }
}

impl Pool {
    /// Waits for a place for one round.
    pub async fn take(&self) -> Seat {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.seats).acquire_owned().await.ok();
        let idle = Arc::clone(&self.idle);
        let sockets = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        sockets.drain();
        Seat { sockets, idle, _permit: permit }
    }
}

/// A place for one round, with its sockets.
pub struct Seat {
    sockets: Sockets,
    idle: Arc<Mutex<Vec<Sockets>>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(std::mem::take(&mut self.sockets));
        }
    }
}

/// Carries the datagrams of one round, which may be continued after it has ended.
pub struct Courier<'a> {
    started: Instant,
    seat: Seat,
    watcher: Watcher<'a>,
}

impl<'a> Courier<'a> {
    /// A courier that reports to a watcher.
    pub fn new(seat: Seat, watcher: Watcher<'a>) -> Self {
        Self { started: Instant::now(), seat, watcher }
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
        let Self { started, seat: Seat { sockets, .. }, watcher } = self;
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
                // A waiting datagram makes the timer unnecessary.
                biased;
                socket = sockets.ready() => {
                    let socket = socket?;
                    // Responses before ICMP errors: a RAIDA that has responded has not refused.
                    let mut settled = receive(socket, round, started)?;
                    receive_icmp_errors(socket, round, started, &mut settled);
                    for Outcome { raida, result, .. } in settled.iter().filter_map(|raida| round.outcome(raida)) {
                        watcher(Step::Settled(raida, result));
                    }
                },
                () = tokio::time::sleep_until(until) => (),
            }
            if Instant::now() >= deadline {
                return Ok(if round.is_satisfied() { Ended::Ready } else { Ended::TimedOut });
            }
        }
    }
}

/// Datagrams that are received before the scratch stack is wiped: all responses of a round, and some more.
const AT_ONCE: usize = 32;

/// Receives the datagrams that wait at `socket`, on a scratch stack, because a share is decrypted
/// in place. Returns the RAIDAs whose outcome has changed.
fn receive(socket: &UdpSocket, round: &mut Round, started: Instant) -> io::Result<Bitmap> {
    let settled = scoped(|| {
        let (mut datagram, mut settled) = ([0; MAX_DATAGRAM_LEN], Bitmap::default());
        for _ in 0..AT_ONCE {
            match socket.try_recv_from(&mut datagram) {
                Ok((len, from)) => {
                    let raida = round.receive(from, &mut datagram[..len], started.elapsed());
                    raida.into_iter().for_each(|raida| settled.insert(raida));
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

/// Reads the ICMP errors, and adds the RAIDAs whose ports are closed to those whose outcome has changed.
fn receive_icmp_errors(socket: &UdpSocket, round: &mut Round, started: Instant, settled: &mut Bitmap) {
    let reports = iter::from_fn(|| icmp::next_error(socket)).take(AT_ONCE);
    for report in reports.filter(|report| report.is_closed) {
        let raida = round.note_closed(report.to, report.quoted(), started.elapsed());
        raida.into_iter().for_each(|raida| settled.insert(raida));
    }
}

/// At most one socket for each address family, opened on first use.
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
    /// Discards what has arrived for earlier rounds: it would count as malformed responses. Datagrams that arrive
    /// later do no other harm.
    fn drain(&self) {
        let mut datagram = [0; MAX_DATAGRAM_LEN];
        for socket in self.v4.iter().chain(&self.v6) {
            // First, because a waiting error makes the next receive fail, once.
            iter::from_fn(|| icmp::next_error(socket)).take(MOST_DRAINED).for_each(drop);
            let _ = (0..MOST_DRAINED).try_for_each(|_| socket.try_recv_from(&mut datagram).map(drop));
        }
    }

    async fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> Result<(), SendError> {
        let (socket, any): (_, SocketAddr) = match to {
            SocketAddr::V4(_) => (&mut self.v4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (&mut self.v6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let socket = match socket {
            Some(socket) => socket,
            None => match UdpSocket::bind(any).await {
                Ok(bound) => {
                    icmp::enable_error_queue(&bound);
                    socket.insert(bound)
                }
                // A machine without IPv6 can still reach the others.
                Err(_) if to.is_ipv6() => return Err(SendError::Unreachable),
                Err(error) => return Err(SendError::NoSocket(error)),
            },
        };
        let mut is_unreachable = false;
        for _ in 0..TRIES_TO_SEND {
            match socket.send_to(datagram, to).await.map_err(|error| error.kind()) {
                Err(ErrorKind::ConnectionRefused) => is_unreachable = false,
                Err(kind) if is_final(kind) => is_unreachable = true,
                // Anything else, such as a full buffer, loses the datagram; the resend makes up for it.
                _ => return Ok(()),
            }
        }
        if is_unreachable { Err(SendError::Unreachable) } else { Ok(()) }
    }

    /// Waits until one of the sockets has a datagram, or an error about one that it has sent.
    async fn ready(&self) -> io::Result<&UdpSocket> {
        let ready = async |socket: &Option<UdpSocket>| match socket {
            Some(socket) => socket.ready(Interest::READABLE | Interest::ERROR).await.map(drop),
            None => std::future::pending().await,
        };
        let socket = tokio::select! {
            ready = ready(&self.v4) => ready.map(|()| &self.v4)?,
            ready = ready(&self.v6) => ready.map(|()| &self.v6)?,
        };
        socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

fn is_final(kind: ErrorKind) -> bool {
    use ErrorKind::{AddrNotAvailable, HostUnreachable, InvalidInput, NetworkUnreachable, PermissionDenied};
    matches!(kind, AddrNotAvailable | HostUnreachable | InvalidInput | NetworkUnreachable | PermissionDenied)
}

#[cfg(test)]
mod tests;
