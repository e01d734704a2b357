//! Tests of the whole against real servers.

mod caches;
mod checker;
mod controls;
mod deletions;
mod failures;
mod limits;
pub(crate) mod node;
mod records;
mod sentinel;
pub(crate) mod server;
mod several;

use std::time::Duration;

/// How long a broken rule gives others to use the break.
pub(crate) const BREAK: Duration = Duration::from_millis(300);
