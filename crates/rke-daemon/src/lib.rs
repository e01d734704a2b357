//! The daemon: finds Content Servers, exchanges keys, owns the sessions and answers over HTTP.
//! Inside, `http -> {sessions, streams, tunnel} -> {store, exchange, guardians, discovery, keystore,
//! raidas, progress}`; nothing imports `http`.

pub mod access;
mod allowance;
pub mod audit;
mod blocking;
pub mod clock;
pub mod config;
pub mod confirm;
mod contact;
#[cfg(feature = "controls")]
mod controls;
mod creations;
mod daemon;
pub mod discovery;
pub mod domain;
pub mod exchange;
mod gate;
pub mod guardians;
pub mod histogram;
pub mod http;
pub mod journal;
pub mod keystore;
pub mod listen;
#[cfg(feature = "made-up-sessions")]
pub mod made_up;
pub mod progress;
pub mod raidas;
mod reload;
pub mod remote_deletions;
pub mod server;
pub mod session_key;
pub mod sessions;
pub mod store;
pub mod streams;
mod suspend;
mod token;
pub mod trust;
pub mod tunnel;
mod tunnels;
pub mod usage;
pub mod viewer;

pub use config::Config;
pub use daemon::{Daemon, Inherited, StartError};
pub use domain::Domain;
