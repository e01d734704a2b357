//! The requests that come by the thousand, answered where they are read. Everything else goes through the router.

pub mod dispatcher;
pub(super) mod fast_path;
