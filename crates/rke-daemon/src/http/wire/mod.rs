//! Connections: who may connect, how bytes become requests and responses become bytes, and how long each may take.

mod connection_task;
mod delivery;
mod hyper_io;
mod response_tracker;
pub mod server;
pub mod unix_socket;
mod waiting;
