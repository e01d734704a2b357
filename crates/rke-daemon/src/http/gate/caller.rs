//! Who has made a request, as the connection tells it: put beside each request when it arrives.

use std::net::IpAddr;
use std::sync::Arc;

use super::crowd::Place;

/// How a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Way {
    /// Over plain TCP.
    Tcp,
    /// Over TCP with TLS.
    Tls,
    /// Over a unix socket, which the mode of its file guards. Browsers cannot.
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
    /// Its connection's place among the others.
    pub(in crate::http) place: Arc<Place>,
    /// Stands for the other end where its requests are counted.
    pub(in crate::http) peer: String,
}

impl Caller {
    /// Over TCP. This machine's programs cannot be told apart by their addresses, so they are one.
    pub(in crate::http) fn from_address(way: Way, address: IpAddr, place: Arc<Place>) -> Self {
        let address = address.to_canonical();
        let peer = if address.is_loopback() { "loopback".into() } else { address.to_string() };
        Self { way, place, peer }
    }

    /// Over a unix socket.
    pub(in crate::http) fn from_user(uid: u32, place: Arc<Place>) -> Self {
        Self { way: Way::Unix, place, peer: format!("user {uid}") }
    }
}
