//! Answers of a node that go out together: one call of the kernel for all that were made in one go.
//! An answer that the system refuses to send holds up none of those behind it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A sealed answer, and who asked.
pub(crate) type Answer = (Vec<u8>, SocketAddr);

/// Sends what can be sent at once. The rest is lost, as datagrams are: who asked asks again.
pub(crate) fn send(socket: &UdpSocket, answers: &[Answer]) {
    let mut left = answers;
    while !left.is_empty() {
        let gone = match send_some(socket, left) {
            // No room: what is left would find none either.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // An error is always about the first of them.
            Ok(0) | Err(_) => 1,
            Ok(sent) => sent,
        };
        left = left.get(gone..).unwrap_or_default();
    }
}

/// How many went out, from the front.
fn send_some(socket: &UdpSocket, answers: &[Answer]) -> io::Result<usize> {
    let parts: Vec<_> =
        answers.iter().map(|(answer, peer)| (peer.as_any(), [IoSlice::new(answer)])).collect();
    let mut nothing_else: Vec<_> = answers.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut datagrams: Vec<_> = parts
        .iter()
        .zip(&mut nothing_else)
        .map(|((peer, bytes), nothing_else)| MMsgHdr::new_with_addr(peer, bytes, nothing_else))
        .collect();
    let send = || Ok(sendmmsg(socket, &mut datagrams, SendFlags::empty())?);
    socket.try_io(Interest::WRITABLE, send)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, send};

    #[tokio::test]
    async fn each_goes_to_who_asked_and_one_that_cannot_be_sent_holds_up_none() {
        let node = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        node.writable().await.unwrap();
        let askers = [0; 3].map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let [one, two, three] = askers.each_ref().map(|asker| asker.local_addr().unwrap());
        // Nobody has port 0, and an IPv4 socket reaches no IPv6 address.
        let nowhere = ["127.0.0.1:0", "[::1]:9"].map(|address| address.parse().unwrap());
        let to = [nowhere[0], one, two, nowhere[1], nowhere[0], three, one, nowhere[1]];
        let answers: Vec<Answer> = to.iter().zip(1..).map(|(peer, byte)| (vec![byte; 40], *peer)).collect();

        send(&node, &answers);

        let expected: [&[u8]; 3] = [&[2, 7], &[3], &[6]];
        for (asker, expected) in askers.iter().zip(expected) {
            asker.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            for byte in expected {
                let mut datagram = [0; 64];
                let (len, from) = asker.recv_from(&mut datagram).unwrap();
                assert_eq!(datagram[..len], [*byte; 40]);
                assert_eq!(from, node.local_addr().unwrap());
            }
        }
    }
}
