//! Where the HTTP API listens: addresses, and `localhost`, which is one of each family with the same port.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::TcpListener;

/// How often another free port is tried if the first one is taken in the other family.
const PORT_TRIES: usize = 20;

/// What to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// One address; port 0 takes any free one.
    Address(SocketAddr),
    /// 127.0.0.1 and `[::1]` with this port; only 127.0.0.1 if the machine has no IPv6.
    Localhost(u16),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "it must be an IP address or localhost with a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080";
        match text.strip_prefix("localhost:") {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().map(Self::Localhost).map_err(|_| wanted)
            }
            _ => text.parse().map(Self::Address).map_err(|_| wanted),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Localhost(port) => write!(f, "localhost:{port}"),
        }
    }
}

impl Listen {
    /// Starts to listen.
    ///
    /// # Errors
    /// The address that cannot be used, with the system's error.
    pub async fn bind(self) -> Result<Vec<(TcpListener, SocketAddr)>, (SocketAddr, io::Error)> {
        match self {
            Self::Address(address) => Ok(vec![bind(address).await?]),
            Self::Localhost(0) => {
                let mut tries = PORT_TRIES;
                loop {
                    let first = bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
                    let port = first.1.port();
                    tries -= 1;
                    match both(first, port).await {
                        Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => (),
                        bound => return bound,
                    }
                }
            }
            Self::Localhost(port) => both(bind((Ipv4Addr::LOCALHOST, port).into()).await?, port).await,
        }
    }
}

async fn both(
    first: (TcpListener, SocketAddr),
    port: u16,
) -> Result<Vec<(TcpListener, SocketAddr)>, (SocketAddr, io::Error)> {
    match bind((Ipv6Addr::LOCALHOST, port).into()).await {
        Ok(second) => Ok(vec![first, second]),
        Err((_, error)) if lacks_ipv6(&error) => Ok(vec![first]),
        Err(taken) => Err(taken),
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), (SocketAddr, io::Error)> {
    let listener = TcpListener::bind(address).await.map_err(|error| (address, error))?;
    let own = listener.local_addr().map_err(|error| (address, error))?;
    Ok((listener, own))
}

/// Whether the machine has no IPv6, or none on loopback.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

#[cfg(test)]
mod tests;
