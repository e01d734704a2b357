//! Interfaces for this machine only: where they listen, and how they are served until they are stopped.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_engine::settings::access::UnixSocket;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::fast::dispatcher::Dispatcher;
use crate::http::telemetry::traffic::Traffic;
use crate::http::wire::server::{Door, serve};
use crate::http::wire::unix_socket::{self, UnixSocketError};
use crate::run_files::RunFiles;

/// How long a body may stall, and a client read nothing of a response.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Where an interface for this machine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalListen {
    /// At a Unix socket, whose mode says who may use it.
    Unix(UnixSocket),
    /// At an address of loopback.
    Tcp(SocketAddr),
}

/// Why an interface cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum LocalListenError {
    /// The Unix socket cannot be used.
    #[error(transparent)]
    UnixSocket(#[from] UnixSocketError),
    /// Other machines could reach the address.
    #[error(
        "will not listen on {address} for {}: other machines can reach this address, and {}; choose an address of 127.0.0.1 \
         or [::1], or unix:PATH, with {}", .interface.purpose, .interface.danger, .interface.option
    )]
    Exposed {
        /// The requested address.
        address: SocketAddr,
        /// The interface.
        interface: &'static Interface,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address} for {}: {source}; choose another address with {}", .interface.purpose, .interface.option)]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The interface.
        interface: &'static Interface,
        /// The system's error.
        source: io::Error,
    },
}

/// An interface for this machine, in the words of its errors.
#[derive(Debug)]
pub struct Interface {
    /// The option that names where it listens.
    pub(crate) option: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
    /// What would happen if other machines could reach it.
    pub(crate) danger: &'static str,
}

/// A door that nobody goes through yet.
pub(crate) struct Opened {
    door: Door,
    address: Option<SocketAddr>,
    files: RunFiles,
}

impl Interface {
    /// Refuses an address that other machines can reach. It opens nothing, so a program can ask before it makes anything.
    ///
    /// # Errors
    /// [`LocalListenError::Exposed`].
    pub(crate) fn check(&'static self, listen: &LocalListen) -> Result<(), LocalListenError> {
        match listen {
            LocalListen::Tcp(address) if !address.ip().is_loopback() => {
                Err(LocalListenError::Exposed { address: *address, interface: self })
            }
            LocalListen::Tcp(_) | LocalListen::Unix(_) => Ok(()),
        }
    }

    /// Listens.
    ///
    /// # Errors
    /// [`LocalListenError`]; nothing is left behind.
    pub(crate) async fn open(&'static self, listen: &LocalListen) -> Result<Opened, LocalListenError> {
        self.check(listen)?;
        match listen {
            LocalListen::Unix(socket) => {
                let (listener, guard) = unix_socket::listen(socket, self.option).await?;
                let files = RunFiles { unix_socket: Some(socket.path.clone()), token: None };
                Ok(Opened { door: Door::Unix(listener, guard), address: None, files })
            }
            LocalListen::Tcp(address) => {
                let failed = |source| LocalListenError::Listen { address: *address, interface: self, source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = Some(listener.local_addr().map_err(failed)?);
                Ok(Opened { door: Door::Tcp(listener), address, files: RunFiles::default() })
            }
        }
    }
}

impl Opened {
    /// Whether it is a TCP port, where the kernel does not say who comes.
    pub(crate) fn is_tcp(&self) -> bool {
        self.address.is_some()
    }

    /// The file with the token that a client needs, which is removed at the end.
    pub(crate) fn note_token(&mut self, file: PathBuf) {
        self.files.token = Some(file);
    }

    /// Begins to serve.
    pub(crate) fn serve(self, dispatcher: Dispatcher, traffic: Arc<Traffic>) -> LocalServer {
        let Self { door, address, files } = self;
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(door, Arc::new(dispatcher), traffic, BODY_TIMEOUT, stopped));
        LocalServer { address, files, stop, server }
    }
}

/// An interface that is served. It runs until [`LocalServer::stop`].
pub(crate) struct LocalServer {
    address: Option<SocketAddr>,
    files: RunFiles,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl LocalServer {
    /// The address, if it listens on TCP.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The path of the Unix socket, if it listens there.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.files.unix_socket.as_deref()
    }

    /// The file with the token that a client needs.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.files.token.as_deref()
    }

    /// Stops within a second, and removes its files.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INTERFACE: Interface = Interface { option: "--here", purpose: "tests", danger: "none would pass" };

    #[test]
    fn an_address_that_other_machines_reach_is_refused_before_it_is_opened() {
        let at = |address: &str| LocalListen::Tcp(address.parse().expect("an address"));
        for address in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1"] {
            let refused = INTERFACE.check(&at(address)).expect_err("other machines reach it").to_string();
            assert!(refused.contains(address) && refused.contains("--here"), "{refused}");
        }
        let socket = LocalListen::Unix(UnixSocket { path: "api.sock".into(), group: None });
        for listen in [at("127.0.0.1:1"), at("[::1]:1"), socket] {
            assert!(INTERFACE.check(&listen).is_ok(), "{listen:?}");
        }
    }
}
