//! Where interfaces are that only this machine reaches: `unix:PATH`, or an IP address of loopback with a port.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use rke_daemon::LocalListen;
use rke_engine::settings::access::UnixSocket;
use rke_host::sandbox::Files;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Where such an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LocalAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// An address of loopback.
    Tcp(SocketAddr),
}

impl FromStr for LocalAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some("") => Err("unix: must be followed by the path of a socket"),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(
                |_| "it must be unix:PATH, or an IP address of this machine with a port, such as 127.0.0.1:8081",
            ),
        }
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

impl LocalAddress {
    /// Where to listen, at a unix socket for this user, and for this group if there is one.
    pub(crate) fn listen(&self, group: Option<u32>) -> LocalListen {
        match self {
            Self::Unix(path) => LocalListen::Unix(UnixSocket { path: path.clone(), group }),
            Self::Tcp(address) => LocalListen::Tcp(*address),
        }
    }

    /// Lets the sandbox make its socket. An address needs no right: it is listened on before the sandbox closes.
    pub(crate) fn allow(&self, files: Files) -> Files {
        match self {
            Self::Unix(path) => files.socket(path),
            Self::Tcp(_) => files,
        }
    }
}

/// Reads an address from a configuration file.
pub(crate) fn local_address_in_file<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<LocalAddress>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}
