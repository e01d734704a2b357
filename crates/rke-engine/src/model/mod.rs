//! What the other parts speak of: the names of sessions, domains and servers, what a session's key is and where it comes
//! from, who asks, and the clocks. Nothing here does anything by itself.

pub mod clock;
pub mod domain;
pub mod key_origin;
pub mod remote_deletion;
pub mod server_name;
pub mod session_id;
pub mod session_key;
pub mod usage;
pub mod viewer;
