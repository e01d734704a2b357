//! The session engine of the daemon. It finds Content Servers, exchanges keys, stores and uses sessions, and deletes
//! them at both ends. Nothing in this crate knows about the HTTP interface.
//!
//! `sessions` is the entry point; `streams` and `tunnel` work with the sessions that it opens. Below it lie `{store,
//! exchange, keys, remote_deletions, journal}`, below these `{contact, guardians, discovery, trust, audit,
//! activity}`, and `model` at the bottom.

pub mod activity;
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
