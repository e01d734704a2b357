//! Whether a RAIDA is there: it is sent an echo, which needs no coin, and at which of its addresses.

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

use crate::until::until;

/// How long to wait for an answer, for each time that is asked.
const PATIENCE: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(1500)];

/// How long an address has before the next is asked too.
const HEAD_START: Duration = Duration::from_millis(250);

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    After(Duration),
    /// Something is there, and says that it is another RAIDA.
    AnotherRaida,
    /// The machine is there, and nothing listens at that port.
    Closed,
    /// Nothing came.
    Silence,
}

/// Asks the RAIDA with this index at that address.
pub async fn ask(raida: RaidaIndex, endpoint: SocketAddr) -> Answer {
    let mut last = Answer::Silence;
    for patience in PATIENCE {
        match timeout(patience, ask_once(raida, endpoint)).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => last = Answer::Closed,
            _ => (),
        }
    }
    last
}

/// The first of a RAIDA's addresses that answers. They are asked in order, the next as soon as one is silent for long or
/// is known not to be it, as RFC 8305 has it. `None` where none answers.
pub async fn first_to_answer(raida: RaidaIndex, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let (mut others, mut asked) = (addresses.iter().copied(), JoinSet::new());
    let mut next_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            biased;
            Some(answered) = asked.join_next() => match answered {
                Ok((address, Answer::After(_))) => return Some(address),
                _ => next_at = tokio::time::Instant::now(),
            },
            () = until(next_at), if others.len() > 0 => {
                if let Some(address) = others.next() {
                    asked.spawn(async move { (address, ask(raida, address).await) });
                }
                next_at += HEAD_START;
            }
            else => return None,
        }
    }
}

async fn ask_once(raida: RaidaIndex, endpoint: SocketAddr) -> std::io::Result<Answer> {
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
                return Ok(if another { Answer::AnotherRaida } else { Answer::After(asked.elapsed()) });
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
    // Nothing of it is secret.
    let (challenge, trailer) = request[SHORT_HEADER_LEN..].split_at_mut(CHALLENGE_LEN);
    challenge.copy_from_slice(Challenge::new(random).as_bytes());
    trailer.copy_from_slice(&TRAILER);
    Ok((request, header))
}

#[cfg(test)]
mod tests {
    use rke_proto::EnvelopeKey;
    use rke_proto::envelope::{ResponseParts, seal_response};

    use super::*;

    fn raida(index: u8) -> RaidaIndex {
        RaidaIndex::new(index).expect("a RAIDA")
    }

    async fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        (socket, address)
    }

    /// Where this RAIDA answers every echo.
    async fn answering(raida: RaidaIndex) -> SocketAddr {
        let (socket, address) = socket().await;
        tokio::spawn(async move {
            let mut datagram = [0; 256];
            while let Ok((len, peer)) = socket.recv_from(&mut datagram).await {
                let header = RequestHeader::decode(&datagram[..len]).expect("a request");
                let status = if header.raida == raida.get() { Status::SUCCESS } else { Status::WRONG_RAIDA };
                let parts =
                    ResponseParts { raida, status, challenge: None, execution_micros: 0, random: [0; 24] };
                let answer = seal_response(&header, &EnvelopeKey::None, &parts, 0, |_| ());
                let _ = socket.send_to(&answer.expect("no payload"), peer).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_raida_is_asked_at_each_of_its_addresses_until_one_answers() {
        let (_silent, silent) = socket().await;
        let (closed, closed_at) = socket().await;
        drop(closed);
        let (good, other) = (answering(raida(7)).await, answering(raida(8)).await);
        for (addresses, answers) in [
            (&[good][..], Some(good)),
            (&[silent, good], Some(good)),
            (&[closed_at, good], Some(good)),
            (&[other, good], Some(good)),
            (&[other, closed_at, silent, good], Some(good)),
            (&[other, closed_at], None),
            (&[], None),
        ] {
            assert_eq!(first_to_answer(raida(7), addresses).await, answers, "{addresses:?}");
        }
    }
}
