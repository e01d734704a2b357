use std::time::Duration;

use super::*;

fn one(listen: &str) -> NodeSocket {
    NodeSocket::open_all(listen.parse().unwrap(), 1).unwrap().remove(0)
}

#[tokio::test]
async fn each_goes_to_who_asked_and_one_that_cannot_be_sent_holds_up_none() {
    let node = one("127.0.0.1:0");
    node.socket.writable().await.unwrap();
    let askers = [0; 3].map(|_| StdSocket::bind("127.0.0.1:0").unwrap());
    let [one, two, three] = askers.each_ref().map(|asker| asker.local_addr().unwrap());
    // Nobody has port 0, and an IPv4 socket reaches no IPv6 address.
    let nowhere = ["127.0.0.1:0", "[::1]:9"].map(|address| address.parse().unwrap());
    let to = [nowhere[0], one, two, nowhere[1], nowhere[0], three, one, nowhere[1]];
    let batch: Vec<Outgoing> = to
        .iter()
        .zip(1..)
        .map(|(peer, byte)| (vec![byte; 40], ReplyPath::new(peer, Ipv6Addr::UNSPECIFIED)))
        .collect();

    node.send_batch(&batch);

    let expected: [&[u8]; 3] = [&[2, 7], &[3], &[6]];
    for (asker, expected) in askers.iter().zip(expected) {
        asker.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        for byte in expected {
            let mut datagram = [0; 64];
            let (len, from) = asker.recv_from(&mut datagram).unwrap();
            assert_eq!(datagram[..len], [*byte; 40]);
            assert_eq!(from, node.address().unwrap());
        }
    }
}

#[tokio::test]
async fn receivers_share_an_address_that_no_other_node_gets() {
    for listen in ["127.0.0.1:0", "[::]:0"] {
        let sockets = NodeSocket::open_all(listen.parse().unwrap(), 4).unwrap();
        let address = sockets[0].address().unwrap();
        assert!(sockets.iter().all(|socket| socket.address().unwrap() == address), "{address}");
        assert_eq!((sockets.len(), address.port() == 0), (4, false));
        let taken = NodeSocket::open_all(address, 4);
        assert_eq!(taken.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse), "{address}");
    }
}
