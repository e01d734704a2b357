//! Sessions and keys that several machines share, on Redis or Valkey. The README says what each operation guarantees, and
//! `docs/store-format.md` describes every byte that the store has of them.

mod announcement;
mod checks;
mod clock;
mod error;
#[cfg(test)]
mod fault;
mod holds;
pub mod key_file;
mod link;
mod lock;
mod name;
mod record;
mod reply;
mod scripts;
mod sealing;
mod settings;
mod store;
#[cfg(test)]
mod tests;

pub use checks::{UnfitStore, Warning};
pub use clock::BootTime;
pub use error::{Outage, StoreError};
pub use holds::{Holder, Search, Searching, Stopped};
pub use link::address::{AddressError, Addresses, Deployment};
pub use name::{DomainTag, ID_LEN, Id, Incarnation, KeyTag, Kind, Name};
pub use record::MAX_DATA_LEN;
pub use sealing::OpenError;
pub use settings::{Limits, MARGIN, Role, SETTLE, Settings, Sharing};
pub use store::{
    Block, CacheEntry, CacheRow, Count, Created, Deleted, EndedBy, EndedRecord, Ending, Exchange, Fetched,
    Held, Inspection, Known, Need, NewEntry, NewRecord, NotRemembered, OnEnded, OpenStoreError, ReplayLimits,
    Row, Store, Turn, inspect, keys_in_use,
};
