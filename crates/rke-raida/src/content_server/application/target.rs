//! The TCP address of `--forward`. A name is looked up at the start, and again when none of its addresses can be connected
//! to.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long an address may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Where tunnels are forwarded to.
#[derive(Debug, Clone)]
pub struct Target {
    /// `HOST:PORT`.
    name: Arc<str>,
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Target {
    /// Looks `HOST:PORT` up. It blocks until the name server has responded.
    ///
    /// # Errors
    /// The system's error, or [`ErrorKind::NotFound`] for a name without an address.
    pub fn look_up(name: &str) -> io::Result<Self> {
        let addresses: Vec<SocketAddr> = name.to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        }
        Ok(Self { name: name.into(), addresses: Arc::new(Mutex::new(addresses)) })
    }

    /// `HOST:PORT`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, the same at each address.
    pub fn port(&self) -> u16 {
        self.addresses().first().map_or(0, SocketAddr::port)
    }

    /// Whether the host is a name, which can move to other addresses.
    pub fn has_name(&self) -> bool {
        self.name.parse::<SocketAddr>().is_err()
    }

    /// Connects to the first address that accepts.
    ///
    /// # Errors
    /// That of the last address.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let known = self.addresses().clone();
        match connect_to_any(&known).await {
            Err(failed) if self.has_name() => match self.look_up_again(&known).await {
                Some(other) => connect_to_any(&other).await,
                None => Err(failed),
            },
            connected => connected,
        }
    }

    /// The addresses that the name has now, if they are others.
    async fn look_up_again(&self, known: &[SocketAddr]) -> Option<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = lookup_host(&*self.name).await.ok()?.collect();
        if found.iter().all(|address| known.contains(address)) {
            return None;
        }
        self.addresses().clone_from(&found);
        tracing::info!(target = %self.name, "the name has other addresses now");
        Some(found)
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect_to_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(ErrorKind::NotFound);
    for address in addresses {
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(elapsed) => failed = elapsed.into(),
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    /// A port of this machine at which nothing listens.
    async fn closed() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("an address")
    }

    #[tokio::test]
    async fn a_name_is_looked_up_again_when_its_addresses_refuse() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let target = Target::look_up(&format!("localhost:{port}")).expect("it is known");
        assert!(target.has_name() && target.port() == port);
        *target.addresses() = vec![closed().await];
        target.connect().await.expect("connected");
        assert!(target.addresses().contains(&SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }

    #[tokio::test]
    async fn an_address_that_refuses_stays() {
        let target = Target::look_up(&closed().await.to_string()).expect("an address");
        assert!(!target.has_name());
        let error = target.connect().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(Target::look_up("nothing.invalid:1").is_err() && Target::look_up("localhost").is_err());
    }
}
