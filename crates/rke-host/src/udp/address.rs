//! Conversion of socket addresses.

use std::net::SocketAddr;

use nix::sys::socket::SockaddrStorage;

/// The address of an internet peer. `None` for another family.
pub fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
}
