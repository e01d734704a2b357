//! The sockets of a node: as many at one address as there are receivers, among which the kernel shares out the clients
//! (`SO_REUSEPORT`). Each answer leaves from the address at which the node was asked, because a client that asks one
//! address of a machine takes no answer from another (`IP_PKTINFO`, `IPV6_PKTINFO`).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind,
    recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use rke_host::udp::socket_address;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Who asked, and at which address of this machine. Addresses of IPv4 are in their form of IPv6. It is kept from where
/// secrets have been, so it has no gaps between its fields, in which some of them could come along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    peer: [u8; 16],
    /// Zeros where it is not known.
    at: [u8; 16],
    scope: u32,
    port: u32,
}

/// A sealed answer, and who asked.
pub(super) type Answer = (Vec<u8>, Asked);

const _: () = assert!(size_of::<Asked>() == 40 && size_of::<Answer>() == size_of::<Vec<u8>>() + 40);

impl Asked {
    fn new(peer: &SocketAddr, at: Ipv6Addr) -> Self {
        let (ip, scope) = match peer {
            SocketAddr::V4(peer) => (peer.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(peer) => (*peer.ip(), peer.scope_id()),
        };
        Self { peer: ip.octets(), at: at.octets(), scope, port: peer.port().into() }
    }

    /// Who asked.
    pub(super) fn peer(&self) -> IpAddr {
        Ipv6Addr::from(self.peer).to_canonical()
    }
}

/// One of a node's sockets.
pub(super) struct NodeSocket {
    socket: UdpSocket,
    is_ipv4: bool,
}

impl NodeSocket {
    /// Opens as many as there are to be receivers. Port 0 takes a free one, the same for all; `[::]` takes IPv4 too.
    ///
    /// # Errors
    /// What the system said, also where another program has the address.
    pub(super) fn open_all(listen: SocketAddr, receivers: usize) -> io::Result<Vec<Self>> {
        // The first finds the address taken by any other program, another node too, because it does not share it yet.
        let first = open(listen)?;
        bind(first.as_raw_fd(), &SockaddrStorage::from(listen))?;
        setsockopt(&first, sockopt::ReusePort, &true)?;
        let address = first.local_addr()?;
        let others = (1..receivers).map(|_| {
            let other = open(address)?;
            setsockopt(&other, sockopt::ReusePort, &true)?;
            bind(other.as_raw_fd(), &SockaddrStorage::from(address))?;
            io::Result::Ok(other)
        });
        let all = std::iter::once(Ok(first)).chain(others);
        let is_ipv4 = listen.is_ipv4();
        all.map(|socket| Ok(Self { socket: UdpSocket::from_std(socket?)?, is_ipv4 })).collect()
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Takes in a datagram that has come, and gives its length and who sent it. What is longer than the buffer is cut.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Asked)> {
        self.socket.try_io(Interest::READABLE, || {
            let mut parts = [IoSliceMut::new(buffer)];
            let mut space = cmsg_space!(in6_pktinfo);
            let socket = self.socket.as_raw_fd();
            let message =
                recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut space), MsgFlags::empty())?;
            let peer = message.address.as_ref().and_then(socket_address).ok_or(io::ErrorKind::InvalidData)?;
            let at = message.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).to_ipv6_mapped())
                }
                // Of IPv4 too, where the socket is for both.
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(info.ipi6_addr.s6_addr.into()),
                _ => None,
            });
            Ok((message.bytes, Asked::new(&peer, at.unwrap_or(Ipv6Addr::UNSPECIFIED))))
        })
    }

    /// Sends what can be sent at once. The rest is lost, as datagrams are: who asked asks again. An answer that the system
    /// refuses to send holds up none of those behind it.
    pub(super) fn send(&self, answers: &[Answer]) {
        for (answer, asked) in answers {
            let sent = self.socket.try_io(Interest::WRITABLE, || self.send_one(answer, asked));
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return;
            }
        }
    }

    fn send_one(&self, answer: &[u8], asked: &Asked) -> io::Result<()> {
        let (parts, peer) = ([IoSlice::new(answer)], SockaddrStorage::from(self.peer_of(asked)?));
        let send = |from: &[ControlMessage<'_>]| {
            sendmsg(self.socket.as_raw_fd(), &parts, from, MsgFlags::empty(), Some(&peer))
        };
        let at = Ipv6Addr::from(asked.at);
        // Which interface it leaves by is for the routes to say.
        match at.to_ipv4_mapped().filter(|_| self.is_ipv4) {
            _ if at.is_unspecified() => send(&[])?,
            Some(four) => {
                let ipi_spec_dst = in_addr { s_addr: u32::from_ne_bytes(four.octets()) };
                let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr: in_addr { s_addr: 0 } };
                send(&[ControlMessage::Ipv4PacketInfo(&info)])?
            }
            None => {
                let ipi6_addr = in6_addr { s6_addr: asked.at };
                send(&[ControlMessage::Ipv6PacketInfo(&in6_pktinfo { ipi6_addr, ipi6_ifindex: 0 })])?
            }
        };
        Ok(())
    }

    /// Who asked, as the socket takes it.
    fn peer_of(&self, asked: &Asked) -> io::Result<SocketAddr> {
        let port = u16::try_from(asked.port).map_err(io::Error::other)?;
        let ip = Ipv6Addr::from(asked.peer);
        Ok(match ip.to_ipv4_mapped().filter(|_| self.is_ipv4) {
            Some(four) => SocketAddrV4::new(four, port).into(),
            None => SocketAddrV6::new(ip, port, 0, asked.scope).into(),
        })
    }
}

/// A socket that is bound to nothing yet, and tells at which address each datagram came.
fn open(listen: SocketAddr) -> io::Result<StdSocket> {
    let family = if listen.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Datagram, flags, None)?;
    match listen {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => {
            // Systems differ in what they do without being told.
            setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
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
        let answers: Vec<Answer> = to
            .iter()
            .zip(1..)
            .map(|(peer, byte)| (vec![byte; 40], Asked::new(peer, Ipv6Addr::UNSPECIFIED)))
            .collect();

        node.send(&answers);

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
}
