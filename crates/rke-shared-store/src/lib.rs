//! Sessions and keys that several machines share, on Redis or Valkey. `docs/store-format.md` describes every byte that the
//! store has of them.

#![expect(dead_code, reason = "what is sealed and named here, the next change stores")]

pub mod key_file;
mod name;
mod record;
mod sealing;

pub use name::{DomainTag, ID_LEN, Id, Incarnation, KeyTag, Kind, Name};
pub use record::MAX_DATA_LEN;
pub use sealing::OpenError;
