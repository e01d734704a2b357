//! What ICMP says of datagrams that could not be delivered. The kernel keeps it in the socket's error queue, with the
//! address that the datagram was for and the first bytes of it (`IP_RECVERR`, ip(7)). A socket that is not connected hears
//! of it in no other way.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::libc::{ECONNREFUSED, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err, sockaddr_in6};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::socket_address;

/// Bytes of a datagram that are looked at: more than the header of any request.
const MAX_QUOTE_LEN: usize = 64;

/// What ICMP says of one datagram.
pub(super) struct Report {
    /// Whom it was for.
    pub(super) to: SocketAddr,
    /// Whether it says that nothing listens at that port.
    pub(super) is_closed: bool,
    quote: [u8; MAX_QUOTE_LEN],
    quote_len: usize,
}

impl Report {
    /// The first bytes of the datagram, as far as they came back.
    pub(super) fn quoted(&self) -> &[u8] {
        &self.quote[..self.quote_len]
    }
}

/// Has the kernel keep what ICMP says from here on. Without it a closed port is a silent one.
pub(super) fn keep_reports(socket: &UdpSocket) {
    let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
    let _ = match is_v6 {
        true => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
        false => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
    };
}

/// The oldest report that waits at `socket`. `None` where there is none, or none that can be read.
pub(super) fn next_report(socket: &UdpSocket) -> Option<Report> {
    socket.try_io(Interest::ERROR, || read(socket)).ok()
}

fn read(socket: &UdpSocket) -> io::Result<Report> {
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
    Ok(Report { to, is_closed, quote, quote_len })
}
