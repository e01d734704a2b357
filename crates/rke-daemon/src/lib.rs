//! The daemon: the HTTP interface to the sessions of `rke-engine`, and everything that starts and stops it. A Content
//! Server has a part of that interface, for the keys that it holds.
//!
//! A daemon in this process:
//!
//! ```
//! use std::net::SocketAddr;
//!
//! use rke_daemon::Daemon;
//! use rke_engine::settings::Config;
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let data_dir = dir.path().join("daemon");
//! let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
//! let mut config = Config::new(data_dir);
//! config.fixed.listen = vec![any_port.into()];
//! let daemon = Daemon::start(config).await?;
//! // It answers at `daemon.address()`.
//! # let mut stream = tokio::net::TcpStream::connect(daemon.address()).await?;
//! # let request = format!("GET /health/live HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", daemon.address());
//! # stream.write_all(request.as_bytes()).await?;
//! # let mut response = String::new();
//! # stream.read_to_string(&mut response).await?;
//! # assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
//! // All sessions end, and their keys are wiped.
//! daemon.stop().await;
//! # Ok(())
//! # }
//! ```

mod daemon;
mod etsi;
pub mod http;
mod local_listen;
mod monitor;
mod other_end;
mod run_files;
mod tls;
mod token;

pub use daemon::{Daemon, Inherited, StartError};
#[cfg(feature = "testing")]
pub use etsi::testing as etsi_testing;
pub use etsi::{
    EtsiCertificates, EtsiClient, EtsiListen, EtsiListener, EtsiPeer, EtsiServer, EtsiStartError,
    EtsiTlsFiles, SaeIdentity,
};
pub use local_listen::{Interface, LocalListen, LocalListenError};
pub use monitor::{Monitor, MonitorListener};
pub use other_end::{OtherEnd, OtherEndError, OtherEndListener};
pub use tls::TlsError;
