//! The sockets of a node: one for each receiver, all bound to one address, so that the kernel distributes the clients
//! among them (`SO_REUSEPORT`). Each response leaves from the address that the request came to, because a client
//! accepts no response from a different address of the machine (`IP_PKTINFO`, `IPV6_PKTINFO`).

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

/// The destination of a response, and this machine's address that it leaves from. IPv4 addresses are in mapped IPv6
/// form. The value outlives a stack that held secrets, so it has no padding in which their bytes could survive.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyPath {
    peer: [u8; 16],
    /// Zeros if unknown.
    at: [u8; 16],
    scope: u32,
    port: u32,
}

/// A sealed response and its destination.
pub(super) type Outgoing = (Vec<u8>, ReplyPath);

const _: () = assert!(size_of::<ReplyPath>() == 40 && size_of::<Outgoing>() == size_of::<Vec<u8>>() + 40);

impl ReplyPath {
    fn new(peer: &SocketAddr, at: Ipv6Addr) -> Self {
        let (ip, scope) = match peer {
            SocketAddr::V4(peer) => (peer.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(peer) => (*peer.ip(), peer.scope_id()),
        };
        Self { peer: ip.octets(), at: at.octets(), scope, port: peer.port().into() }
    }

    /// The client's address.
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
    /// Opens one socket for each receiver. Port 0 takes the same free port for all; `[::]` accepts IPv4 too.
    ///
    /// # Errors
    /// The system's error, also if another program uses the address.
    pub(super) fn open_all(listen: SocketAddr, receivers: usize) -> io::Result<Vec<Self>> {
        // The first one is not shared yet, so it fails if any other program uses the address, including another node.
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

    /// Receives a waiting datagram and returns its length and the sender. Longer datagrams than the buffer are
    /// truncated.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, ReplyPath)> {
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
                // For IPv4 too, on a socket that serves both.
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(info.ipi6_addr.s6_addr.into()),
                _ => None,
            });
            Ok((message.bytes, ReplyPath::new(&peer, at.unwrap_or(Ipv6Addr::UNSPECIFIED))))
        })
    }

    /// Sends as much as the socket takes at once. The rest is lost like any datagram: the client resends its request.
    /// A response that the system refuses does not delay those behind it.
    pub(super) fn send_batch(&self, batch: &[Outgoing]) {
        for (response, to) in batch {
            let sent = self.socket.try_io(Interest::WRITABLE, || self.send_one(response, to));
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return;
            }
        }
    }

    fn send_one(&self, response: &[u8], to: &ReplyPath) -> io::Result<()> {
        let (parts, peer) = ([IoSlice::new(response)], SockaddrStorage::from(self.peer_of(to)?));
        let send = |from: &[ControlMessage<'_>]| {
            sendmsg(self.socket.as_raw_fd(), &parts, from, MsgFlags::empty(), Some(&peer))
        };
        let at = Ipv6Addr::from(to.at);
        // The routing table chooses the interface.
        match at.to_ipv4_mapped().filter(|_| self.is_ipv4) {
            _ if at.is_unspecified() => send(&[])?,
            Some(four) => {
                let ipi_spec_dst = in_addr { s_addr: u32::from_ne_bytes(four.octets()) };
                let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr: in_addr { s_addr: 0 } };
                send(&[ControlMessage::Ipv4PacketInfo(&info)])?
            }
            None => {
                let ipi6_addr = in6_addr { s6_addr: to.at };
                send(&[ControlMessage::Ipv6PacketInfo(&in6_pktinfo { ipi6_addr, ipi6_ifindex: 0 })])?
            }
        };
        Ok(())
    }

    /// The client's address in the form that the socket takes.
    fn peer_of(&self, to: &ReplyPath) -> io::Result<SocketAddr> {
        let port = u16::try_from(to.port).map_err(io::Error::other)?;
        let ip = Ipv6Addr::from(to.peer);
        Ok(match ip.to_ipv4_mapped().filter(|_| self.is_ipv4) {
            Some(four) => SocketAddrV4::new(four, port).into(),
            None => SocketAddrV6::new(ip, port, 0, to.scope).into(),
        })
    }
}

/// An unbound socket that reports the destination address of each datagram.
fn open(listen: SocketAddr) -> io::Result<StdSocket> {
    let family = if listen.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Datagram, flags, None)?;
    match listen {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => {
            // The default differs between systems.
            setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests;
