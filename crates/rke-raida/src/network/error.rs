//! Why a local network cannot start.

use std::io;
use std::path::PathBuf;

use rke_host::data_dir::DataDirError;
use rke_proto::RaidaIndex;
use rke_proto::round::Fault;

use crate::content_server::{ContentServerError, ServerError};
use crate::dns::DnsError;
use crate::node::NodeError;

/// Why a local network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A node cannot start, for example because its port is taken.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The DNS server cannot start, for example because its port is taken.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The Content Server's key set cannot be made.
    #[error(transparent)]
    Keys(#[from] ContentServerError),
    /// The Content Server cannot start, for example because its port is taken.
    #[error(transparent)]
    ContentServer(#[from] ServerError),
    /// The files.
    #[error("cannot prepare {path}: {source}")]
    Files { path: PathBuf, source: io::Error },
    /// The last node's port would be over 65535.
    #[error("25 nodes do not fit from port {0} on")]
    PortsTooHigh(u16),
    /// A node refused its master secret.
    #[error("RAIDA {raida} did not take its master secret: {fault}")]
    Preload { raida: RaidaIndex, fault: Fault },
}
