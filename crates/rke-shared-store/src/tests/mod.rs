//! Tests of the whole against real servers.

mod caches;
mod checker;
mod controls;
mod deletions;
mod failures;
mod inspection;
mod limits;
pub(crate) mod node;
mod records;
mod sentinel;
pub(crate) mod server;
mod several;
