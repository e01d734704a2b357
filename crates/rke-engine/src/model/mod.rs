//! The types that the other modules share: the names of sessions, domains and servers, a session's key and its
//! origin, viewers, searches, and the clocks. Nothing here does anything by itself.

pub mod clock;
pub mod domain;
pub mod key_origin;
pub mod remote_deletion;
pub mod search;
pub mod server_name;
pub mod session_id;
pub mod session_key;
pub mod viewer;

pub use rke_host::usage;
