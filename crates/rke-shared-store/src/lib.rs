//! Sessions and keys that several machines share, on Redis or Valkey. `docs/store-format.md` describes every byte that the
//! store has of them.

#![allow(dead_code)]

mod checks;
mod clock;
mod error;
#[cfg(test)]
mod fault;
pub mod key_file;
mod link;
mod lock;
mod name;
mod record;
mod reply;
mod scripts;
mod sealing;
#[cfg(test)]
mod tests;

pub use checks::{UnfitStore, Warning};
pub use clock::BootTime;
pub use error::{Outage, StoreError};
pub use link::address::{AddressError, Addresses, Deployment};
pub use name::{DomainTag, ID_LEN, Id, Incarnation, KeyTag, Kind, Name};
pub use record::MAX_DATA_LEN;
pub use sealing::OpenError;
