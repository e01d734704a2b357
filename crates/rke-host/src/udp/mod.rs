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

/// Rounds that run at one time; more wait for their turn, so that a crowd of them needs no crowd of sockets.
pub const MAX_ROUNDS: usize = 64;

/// Datagrams for earlier rounds that are thrown away before the next; who sends on and on is not waited for.
const MOST_DRAINED: usize = 256;

/// What is said of an earlier datagram, to whomever it was sent, is the result of the next sending, once. So what is said
/// several times in a row is about this one.
const TRIES_TO_SEND: usize = 4;

/// Rounds whose sockets stay open for those that come next.
const KEPT: usize = 8;

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
    /// A place for one round, as soon as there is one.
    pub async fn take(&self) -> Seat {
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.seats).acquire_owned().await.ok();
        let idle = Arc::clone(&self.idle);
        let sockets = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        sockets.drain();
        Seat { sockets, idle, _permit: permit }
    }
}

/// A place for one round, and the sockets that it has.
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

/// Carries the datagrams of one round, which may go on after it had ended.
pub struct Courier<'a> {
    started: Instant,
    seat: Seat,
    watcher: Watcher<'a>,
}

impl<'a> Courier<'a> {
    /// A courier that has somebody watch.
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
                // Who waits for an answer need not set a timer where there is one already.
                biased;
                socket = sockets.ready() => {
                    let socket = socket?;
                    // Answers first: who has given one has not refused.
                    let mut settled = receive(socket, round, started)?;
                    take_reports(socket, round, started, &mut settled);
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

/// Datagrams that are taken in before the scratch stack is wiped: all answers of a round, and some more.
const AT_ONCE: usize = 32;

/// Takes in the datagrams that wait at `socket`. They land on a scratch stack, because a share is decrypted
/// where it lies. Gives the RAIDAs whose outcome they have changed.
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

/// Takes in what ICMP says of datagrams that were sent, and adds the RAIDAs whose ports are closed to those whose outcome
/// has changed.
fn take_reports(socket: &UdpSocket, round: &mut Round, started: Instant, settled: &mut Bitmap) {
    let reports = iter::from_fn(|| icmp::next_report(socket)).take(AT_ONCE);
    for report in reports.filter(|report| report.is_closed) {
        let raida = round.note_closed(report.to, report.quoted(), started.elapsed());
        raida.into_iter().for_each(|raida| settled.insert(raida));
    }
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
    /// Throws away what is known to have come for earlier rounds: it would be taken for malformed answers. What
    /// comes later still is no harm but in that.
    fn drain(&self) {
        let mut datagram = [0; MAX_DATAGRAM_LEN];
        for socket in self.v4.iter().chain(&self.v6) {
            // First, because a report that waits keeps a datagram from being received, once.
            iter::from_fn(|| icmp::next_report(socket)).take(MOST_DRAINED).for_each(drop);
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
                    icmp::keep_reports(&bound);
                    socket.insert(bound)
                }
                // A machine without IPv6 can still ask the others.
                Err(_) if to.is_ipv6() => return Err(SendError::Unreachable),
                Err(error) => return Err(SendError::NoSocket(error)),
            },
        };
        let mut is_unreachable = false;
        for _ in 0..TRIES_TO_SEND {
            match socket.send_to(datagram, to).await.map_err(|error| error.kind()) {
                Err(ErrorKind::ConnectionRefused) => is_unreachable = false,
                Err(kind) if is_final(kind) => is_unreachable = true,
                // Anything else, a full buffer say, is a lost datagram: the resend makes up for it.
                _ => return Ok(()),
            }
        }
        if is_unreachable { Err(SendError::Unreachable) } else { Ok(()) }
    }

    /// Waits until one of the sockets has a datagram, or a report on one that it has sent.
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
mod tests {
    use std::net::IpAddr;

    use tokio::time::{sleep, timeout};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(10);

    async fn peer() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket")
    }

    /// Has a seat send something, and gives the port that it came from.
    async fn port(seat: &mut Seat, peer: &UdpSocket) -> u16 {
        assert!(seat.sockets.send(peer.local_addr().expect("an address"), b"x").await.is_ok());
        peer.recv_from(&mut [0; 8]).await.expect("a datagram").1.port()
    }

    #[tokio::test]
    async fn a_round_too_many_waits_for_a_seat_and_has_its_sockets() {
        let (pool, peer, mut seats) = (Pool::default(), peer().await, Vec::new());
        for _ in 0..MAX_ROUNDS {
            seats.push(pool.take().await);
        }
        assert!(timeout(SHORT, pool.take()).await.is_err());
        let mut seat = seats.pop().expect("a seat");
        let before = port(&mut seat, &peer).await;
        drop(seat);
        let mut seat = timeout(LONG, pool.take()).await.expect("a seat");
        assert_eq!(port(&mut seat, &peer).await, before);
        assert!(timeout(SHORT, pool.take()).await.is_err());
    }

    /// An address of that family where nothing listens.
    async fn closed(family: IpAddr) -> SocketAddr {
        UdpSocket::bind((family, 0)).await.expect("a socket").local_addr().expect("an address")
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_with_what_was_sent_there() {
        for family in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let (mut seat, to) = (Pool::default().take().await, closed(family).await);
            let datagram: Vec<u8> = (0..100).collect();
            assert!(seat.sockets.send(to, &datagram).await.is_ok());
            let socket = timeout(LONG, seat.sockets.ready()).await.expect("a report").expect("a socket");
            let report = icmp::next_report(socket).expect("a report");
            assert!(report.is_closed && report.to == to && report.quoted().len() >= 48, "{to}");
            assert!(datagram.starts_with(report.quoted()));
            assert!(icmp::next_report(socket).is_none());
            assert!(timeout(SHORT, seat.sockets.ready()).await.is_err(), "nothing more to hear");
        }
    }

    #[tokio::test]
    async fn a_closed_port_keeps_nothing_from_others() {
        let (mut seat, peer, closed) =
            (Pool::default().take().await, peer().await, closed(Ipv4Addr::LOCALHOST.into()).await);
        let open = peer.local_addr().expect("an address");
        for at in 0..20 {
            assert!(seat.sockets.send(closed, b"x").await.is_ok());
            assert!(seat.sockets.send(open, &[at]).await.is_ok());
            let mut datagram = [0; 8];
            let (len, from) =
                timeout(LONG, peer.recv_from(&mut datagram)).await.expect("sent").expect("a datagram");
            assert_eq!(datagram[..len], [at]);
            peer.send_to(&[at], (Ipv4Addr::LOCALHOST, from.port())).await.expect("answered");
        }
        drop(seat);
    }

    #[tokio::test]
    async fn what_came_for_an_earlier_round_is_thrown_away() {
        let (pool, peer) = (Pool::default(), peer().await);
        let mut seat = pool.take().await;
        let to = (Ipv4Addr::LOCALHOST, port(&mut seat, &peer).await);
        assert!(seat.sockets.send(closed(Ipv4Addr::LOCALHOST.into()).await, b"x").await.is_ok());
        drop(seat);
        peer.send_to(b"late", to).await.expect("sent");
        sleep(SHORT).await;
        let seat = pool.take().await;
        assert!(timeout(SHORT, seat.sockets.ready()).await.is_err());
        peer.send_to(b"new", to).await.expect("sent");
        assert!(timeout(LONG, seat.sockets.ready()).await.is_ok());
    }
}
