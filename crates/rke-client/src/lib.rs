#![warn(missing_docs)]
#![doc = include_str!("../README.md")]
//!
//! Each error says how to fix it:
//!
//! ```
//! use rke_client::{Client, Error};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Nothing listens there.
//! let client = Client::new("127.0.0.1:1");
//! match client.status().await {
//!     Ok(status) => println!("{} sessions", status.sessions.total),
//!     Err(error) => eprintln!("{error}: {}", error.remedy()),
//! }
//! # let error = client.status().await.err();
//! # assert!(matches!(error, Some(Error::NoDaemon { .. })));
//! # }
//! ```
//!
//! # Modules

pub mod call;
mod client;
mod connection;
mod error;
mod events;
mod reading;
pub mod response;
mod session;
mod stream;

pub use call::{CachedKey, Call, KeyChoice, OtherEnd, Receipt};
pub use client::{Client, Raw, Reply};
pub use error::{Error, Refusal};
pub use events::{Event, Events, Exchange, State};
pub use session::Session;
pub use stream::Stream;

pub use hyper::Method;
