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

/// The address at which this RAIDA responds to every echo.
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
async fn a_raida_is_tried_at_each_of_its_addresses_until_one_responds() {
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
        assert_eq!(first_responding(raida(7), addresses).await, answers, "{addresses:?}");
    }
}
