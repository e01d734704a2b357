//! Whether a RAIDA is there: it is sent a request for a command that there is not, which each node answers
//! and which needs no coin. Nodes of the public network take the same request for an echo.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rke_proto::challenge::{CHALLENGE_LEN, RANDOM_LEN};
use rke_proto::header::{NONCE_LEN, RequestHeader, ResponseHeader, SHORT_HEADER_LEN, TRAILER};
use rke_proto::{Challenge, Envelope, RaidaIndex, Status};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long to wait for an answer, for each time that is asked.
const PATIENCE: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(1500)];

const ECHO: (u8, u8) = (0, 0);

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
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
pub(super) async fn ask(raida: RaidaIndex, endpoint: SocketAddr) -> Answer {
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
    let body_len = CHALLENGE_LEN + TRAILER.len();
    let header = RequestHeader::new(raida.get(), ECHO, Envelope::Type0, body_len as u16, nonce);
    let mut request = vec![0; SHORT_HEADER_LEN];
    header.write(&mut request);
    request.extend_from_slice(Challenge::new(random).as_bytes());
    request.extend_from_slice(&TRAILER);
    Ok((request, header))
}
