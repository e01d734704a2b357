//! What the daemon can be told.

pub mod access;
mod config;
mod confirm;
pub mod listen;

pub use config::{Config, Example, OnSuspend};
pub use confirm::Confirm;
