//! The descriptions of the operations in the document, in the words of `docs/api.md`.

mod daemon;
mod data;
mod keys;
mod network;
mod sessions;

pub(in crate::http) use self::daemon::{activity, events, live, metrics, openapi, ready, refusals, status};
pub(in crate::http) use self::data::{
    decrypt, decrypt_by_post, encrypt, encrypt_by_post, export, open, seal, tunnel,
};
pub(in crate::http) use self::keys::{forget_keys, list_keys};
pub(in crate::http) use self::network::{discover, raidas, refresh_raidas};
pub(in crate::http) use self::sessions::{
    create_session, create_session_by_post, delete_session, delete_session_by_path, delete_sessions,
    list_sessions, renew_session, show_session,
};
