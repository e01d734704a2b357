//! Tests of the whole against real servers.

pub(crate) mod server;
