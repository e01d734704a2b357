//! A Content Server on TCP with a client made of `rke-proto`: what opens a session, how data ends, and everything that
//! is not an end. `docs/protocol.md` section 7.

#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod application;
mod client;
mod cuts;
mod ends;
mod forward;
mod killed;
mod network;
mod opening;
