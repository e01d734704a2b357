use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio::time::timeout;

use super::*;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// Whether something waits when it has got as far as it can at once. It is dropped.
fn is_waiting(work: impl Future) -> bool {
    pin!(work).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

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
    assert!(is_waiting(pool.take()));
    let mut seat = seats.pop().expect("a seat");
    let before = port(&mut seat, &peer).await;
    drop(seat);
    let mut seat = timeout(LONG, pool.take()).await.expect("a seat");
    assert_eq!(port(&mut seat, &peer).await, before);
    assert!(is_waiting(pool.take()));
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
        let report = icmp::next_error(socket).expect("a report");
        assert!(report.is_closed && report.to == to && report.quoted().len() >= 48, "{to}");
        assert!(datagram.starts_with(report.quoted()));
        assert!(icmp::next_error(socket).is_none());
        assert!(is_waiting(seat.sockets.ready()), "nothing more to hear");
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
    peer.send_to(b"late", to).await.expect("sent");
    for what in [Interest::READABLE, Interest::ERROR] {
        let socket = seat.sockets.v4.as_ref().expect("a socket");
        timeout(LONG, socket.ready(what)).await.expect("in time").expect("it has come");
    }
    drop(seat);
    let seat = pool.take().await;
    assert!(is_waiting(seat.sockets.ready()));
    peer.send_to(b"new", to).await.expect("sent");
    assert!(timeout(LONG, seat.sockets.ready()).await.is_ok());
}
