//! Tests of the whole against real servers.

mod controls;
mod deletions;
mod failures;
mod limits;
mod node;
mod records;
pub(crate) mod server;

use std::time::Duration;

/// How long a broken rule gives others to use the break.
pub(crate) const BREAK: Duration = Duration::from_millis(300);
