//! A client for the rke daemon: opens sessions, encrypts and seals with them, renews and ends them, and
//! follows what the daemon does. It holds no key: all of them stay in the daemon. `README.md` shows
//! how it is used, `docs/api.md` of the project describes what it speaks.

pub mod answer;
pub mod call;
mod client;
mod connection;
mod error;
mod events;
mod reading;
mod session;
mod stream;

pub use call::{CachedKey, Call, KeyChoice, Receipt};
pub use client::{Client, Raw, Reply};
pub use error::{Error, Refusal};
pub use events::{Event, Events, Exchange, State};
pub use session::Session;
pub use stream::Stream;

pub use hyper::Method;
