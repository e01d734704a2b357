//! The daemon: the HTTP interface over the sessions of `rke-engine`, and what starts and stops all of it.

mod daemon;
pub mod http;
mod token;

pub use daemon::{Daemon, Inherited, StartError};
