//! Who has made a request, as the connection tells it: put beside each request when it arrives.

use std::net::IpAddr;

/// The scheme of a connection's URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Plain TCP, or a unix socket.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) scheme: Scheme,
    /// Stands for the other end where its requests are counted.
    pub(super) peer: String,
}

impl Caller {
    /// Over TCP. This machine's programs cannot be told apart by their addresses, so they are one.
    pub(super) fn from_address(scheme: Scheme, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let peer = if address.is_loopback() { "loopback".into() } else { address.to_string() };
        Self { scheme, peer }
    }

    /// Over a unix socket.
    pub(super) fn from_user(uid: u32) -> Self {
        Self { scheme: Scheme::Http, peer: format!("user {uid}") }
    }
}
