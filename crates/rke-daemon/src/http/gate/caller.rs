//! Where a request comes from, according to its connection. Each request gets this when it arrives.

use std::net::IpAddr;
use std::sync::Arc;

use super::crowd::Place;

/// How a client has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Way {
    /// Over plain TCP.
    Tcp,
    /// Over TCP with TLS.
    Tls,
    /// Over a Unix socket, which the mode of its file protects. Browsers cannot connect to it.
    Unix,
}

impl Way {
    /// The scheme of its URLs.
    pub(in crate::http) fn scheme(self) -> &'static str {
        match self {
            Self::Tcp | Self::Unix => "http",
            Self::Tls => "https",
        }
    }
}

/// The other end of a connection.
#[derive(Clone)]
pub(in crate::http) struct Caller {
    pub(in crate::http) way: Way,
    /// The connection's place among the others.
    pub(in crate::http) place: Arc<Place>,
    /// Identifies the client wherever its requests are counted.
    pub(in crate::http) peer: String,
}

impl Caller {
    /// A client over TCP. Programs on this machine cannot be told apart by their addresses, so they count as one.
    pub(in crate::http) fn from_address(way: Way, address: IpAddr, place: Arc<Place>) -> Self {
        let address = address.to_canonical();
        let peer = if address.is_loopback() { "loopback".into() } else { address.to_string() };
        Self { way, place, peer }
    }

    /// A client over a Unix socket.
    pub(in crate::http) fn from_user(uid: u32, place: Arc<Place>) -> Self {
        Self { way: Way::Unix, place, peer: format!("user {uid}") }
    }
}
