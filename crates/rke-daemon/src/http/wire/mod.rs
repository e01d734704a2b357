//! Connections: who is let in, how their bytes become requests and answers become bytes, and how long each may take.

pub(super) mod body_timeout;
mod connection_task;
mod delivery;
pub(super) mod headers;
mod hyper_io;
pub(super) mod outgoing;
mod response_tracker;
pub mod server;
pub mod tls;
pub mod unix_socket;
mod waiting;
