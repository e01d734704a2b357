//! The daemon's settings.

pub mod access;
mod bounds;
mod config;
mod confirm;
pub mod listen;

pub use bounds::{BOUNDS, Bounds, MAX_PLACES, OutOfBounds};
pub use config::{Config, Example, FastPath, Fixed, OnSuspend, Reloadable};
pub use confirm::Confirm;
