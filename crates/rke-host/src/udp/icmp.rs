//! ICMP errors about undeliverable datagrams. The kernel keeps them in the socket's error queue, with the
//! destination and the first bytes of the datagram (`IP_RECVERR`, ip(7)). An unconnected socket receives
//! them in no other way.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::libc::{ECONNREFUSED, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err, sockaddr_in6};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::socket_address;

/// How much of a quoted datagram is read: more than the header of any request.
const MAX_QUOTE_LEN: usize = 64;

/// An ICMP error about one datagram.
pub(super) struct IcmpError {
    /// The destination of the datagram.
    pub(super) to: SocketAddr,
    /// Whether the error says that nothing listens at that port.
    pub(super) is_closed: bool,
    quote: [u8; MAX_QUOTE_LEN],
    quote_len: usize,
}

impl IcmpError {
    /// The first bytes of the datagram, as far as the error quotes them.
    pub(super) fn quoted(&self) -> &[u8] {
        &self.quote[..self.quote_len]
    }
}

/// Makes the kernel keep ICMP errors from here on. Without it a closed port looks silent.
pub(super) fn enable_error_queue(socket: &UdpSocket) {
    let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
    let _ = match is_v6 {
        true => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
        false => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
    };
}

/// The oldest error in the queue of `socket`. `None` if it has none, or none that can be read.
pub(super) fn next_error(socket: &UdpSocket) -> Option<IcmpError> {
    socket.try_io(Interest::ERROR, || read(socket)).ok()
}

fn read(socket: &UdpSocket) -> io::Result<IcmpError> {
    let mut quote = [0; MAX_QUOTE_LEN];
    let mut room = nix::cmsg_space!(sock_extended_err, sockaddr_in6);
    let mut into = [IoSliceMut::new(&mut quote)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut into, Some(&mut room), MsgFlags::MSG_ERRQUEUE)?;
    let is_closed = message.cmsgs()?.any(|about| match about {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            let is_icmp = matches!(error.ee_origin, SO_EE_ORIGIN_ICMP | SO_EE_ORIGIN_ICMP6);
            is_icmp && error.ee_errno == ECONNREFUSED.unsigned_abs()
        }
        _ => false,
    });
    let (to, quote_len) = (message.address.as_ref().and_then(socket_address), message.bytes);
    let to = to.ok_or(io::ErrorKind::InvalidData)?;
    Ok(IcmpError { to, is_closed, quote, quote_len })
}
