#![doc = include_str!("../README.md")]
//!
//! # Modules

pub mod answer;
pub mod call;
mod client;
mod connection;
mod error;
mod events;
mod reading;
mod session;
mod stream;

pub use call::{CachedKey, Call, KeyChoice, OtherEnd, Receipt};
pub use client::{Client, Raw, Reply};
pub use error::{Error, Refusal};
pub use events::{Event, Events, Exchange, State};
pub use session::Session;
pub use stream::Stream;

pub use hyper::Method;
