//! Where interfaces listen that are for this machine only.

use std::io;
use std::net::SocketAddr;

use rke_engine::settings::access::UnixSocket;
use tokio::net::TcpListener;

/// Where an interface for this machine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalListen {
    /// At a Unix socket, whose mode says who may use it.
    Unix(UnixSocket),
    /// At an address of loopback.
    Tcp(SocketAddr),
}

/// Why an address cannot be used.
pub(crate) enum TcpFault {
    /// Other machines can reach it.
    Exposed,
    /// The system refuses.
    System(io::Error),
}

/// Listens on an address of loopback.
pub(crate) async fn listen_on(address: SocketAddr) -> Result<(TcpListener, SocketAddr), TcpFault> {
    if !address.ip().is_loopback() {
        return Err(TcpFault::Exposed);
    }
    let listener = TcpListener::bind(address).await.map_err(TcpFault::System)?;
    let own = listener.local_addr().map_err(TcpFault::System)?;
    Ok((listener, own))
}
