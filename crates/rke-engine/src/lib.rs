//! The sessions of a daemon: finds Content Servers, exchanges keys, keeps and uses sessions, deletes them here and at the
//! other end. Nothing in this crate knows of the HTTP interface.
//!
//! `sessions` is the door; `streams` and `tunnel` work with the sessions that it opens. Below it lie
//! `{store, exchange, keys, remote_deletions, journal}`, below these `{contact, guardians, discovery, trust, audit}`, and `model`
//! at the bottom.

pub mod audit;
mod blocking;
pub mod contact;
pub mod discovery;
pub mod exchange;
pub mod guardians;
pub mod histogram;
pub mod journal;
pub mod keys;
pub mod model;
pub mod remote_deletions;
pub mod sessions;
pub mod settings;
pub mod store;
pub mod streams;
pub mod trust;
pub mod tunnel;

pub use model::domain::Domain;
