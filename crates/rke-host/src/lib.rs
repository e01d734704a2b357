//! Access to the machine for both ends of an exchange: the UDP loop around a round, wallets, the
//! RAIDA directory, a data directory with sealed files, an audit log, and what both ends do with a session's key. The daemon, the
//! RAIDA nodes and the Content Server all build on it.
//!
//! A secret in a sealed file of a data directory:
//!
//! ```
//! use rke_host::data_dir::{DataDir, DataDirError, Role, Sharing};
//! use rke_secret::Secret;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let data_dir = DataDir::open(path, Role::Daemon, Sharing::Alone)?;
//! let file = data_dir.folder("cache")?.join("one.cache");
//! let secret = Secret::<32>::random()?;
//! data_dir.sealer().write(&file, b"what it is", &secret)?;
//!
//! let (description, opened) = data_dir.sealer().read::<32>(&file)?;
//! assert!(description == b"what it is" && opened.matches(&secret));
//!
//! // Opening the directory twice fails, and so does opening it in another role.
//! let second = DataDir::open(path, Role::Daemon, Sharing::Alone);
//! assert!(matches!(second, Err(DataDirError::InUse(_))));
//! let other = DataDir::open(path, Role::ContentServer, Sharing::Alone);
//! assert!(matches!(other, Err(DataDirError::OtherRole { .. })));
//! # Ok(())
//! # }
//! ```

pub mod abrupt;
pub mod audit;
pub mod data_dir;
pub mod directory;
pub mod durable;
pub mod echo;
pub mod exports;
pub mod framing;
pub mod monitored;
pub mod own_file;
pub mod sandbox;
pub mod sealed;
pub mod session_keys;
pub mod stamp;
pub mod streams;
pub mod udp;
pub mod until;
pub mod usage;
pub mod wallet;
