//! Checks whether a RAIDA responds, and at which of its addresses, by an echo, which needs no coin.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rke_proto::challenge::{CHALLENGE_LEN, RANDOM_LEN};
use rke_proto::command::Command;
use rke_proto::envelope::{RequestParts, unsealed_request};
use rke_proto::header::{NONCE_LEN, RequestHeader, ResponseHeader, SHORT_HEADER_LEN, TRAILER};
use rke_proto::{Challenge, Envelope, RaidaIndex, Status};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::until::wait_until;

/// How long to wait for each response.
const TIMEOUTS: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(1500)];

/// The head start of an address over the next one.
const HEAD_START: Duration = Duration::from_millis(250);

/// The result of an echo.
#[derive(Debug, PartialEq, Eq)]
pub enum EchoOutcome {
    /// It responded after this time.
    After(Duration),
    /// The server at this address is another RAIDA.
    AnotherRaida,
    /// Nothing listens at that port.
    Closed,
    /// No response.
    Silence,
}

/// Sends an echo to the RAIDA with this index at that address, and a second one if the first gets no response.
pub async fn probe(raida: RaidaIndex, endpoint: SocketAddr) -> EchoOutcome {
    let mut last = EchoOutcome::Silence;
    for limit in TIMEOUTS {
        match timeout(limit, send_echo(raida, endpoint)).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => last = EchoOutcome::Closed,
            _ => (),
        }
    }
    last
}

/// The first of a RAIDA's addresses to respond. They are tried in order, the next as soon as one has been silent for
/// [`HEAD_START`] or turns out to be wrong, in the manner of RFC 8305.
pub async fn first_responding(raida: RaidaIndex, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let (mut others, mut probes) = (addresses.iter().copied(), JoinSet::new());
    let mut next_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(outcome) = probes.join_next() => match outcome {
                Ok((address, EchoOutcome::After(_))) => return Some(address),
                _ => next_at = tokio::time::Instant::now(),
            },
            () = wait_until(next_at), if others.len() > 0 => {
                if let Some(address) = others.next() {
                    probes.spawn(async move { (address, probe(raida, address).await) });
                }
                next_at += HEAD_START;
            }
            else => return None,
        }
    }
}

async fn send_echo(raida: RaidaIndex, endpoint: SocketAddr) -> std::io::Result<EchoOutcome> {
    let any = match endpoint {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(endpoint).await?;
    let (request, header) = request(raida)?;
    let asked = Instant::now();
    socket.send(&request).await?;
    let mut datagram = [0; 1500];
    loop {
        let len = socket.recv(&mut datagram).await?;
        match ResponseHeader::decode(Envelope::Type0, &datagram[..len]) {
            Ok(answer) if answer.echo == header.echo() => {
                let another = Status(answer.status) == Status::WRONG_RAIDA || answer.raida != raida.get();
                return Ok(if another {
                    EchoOutcome::AnotherRaida
                } else {
                    EchoOutcome::After(asked.elapsed())
                });
            }
            _ => (),
        }
    }
}

fn request(raida: RaidaIndex) -> std::io::Result<(Vec<u8>, RequestHeader)> {
    let (mut nonce, mut random) = ([0; NONCE_LEN], [0; RANDOM_LEN]);
    getrandom::fill(&mut nonce)?;
    getrandom::fill(&mut random)?;
    let command = Command::Echo.to_wire();
    let parts = RequestParts { raida, command, envelope: Envelope::Type0, random: nonce };
    let (header, mut request) = unsealed_request(&parts, CHALLENGE_LEN);
    // Nothing here is secret.
    let (challenge, trailer) = request[SHORT_HEADER_LEN..].split_at_mut(CHALLENGE_LEN);
    challenge.copy_from_slice(Challenge::new(random).as_bytes());
    trailer.copy_from_slice(&TRAILER);
    Ok((request, header))
}

#[cfg(test)]
mod tests;
