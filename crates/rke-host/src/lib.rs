//! What both ends of an exchange need from the machine: the UDP loop around a round, wallets, the
//! RAIDA directory, and a data directory with sealed files. The daemon, the RAIDA nodes and the
//! Content Server all build on it.

pub mod data_dir;
pub mod directory;
pub mod durable;
pub mod echo;
pub mod framing;
pub mod own_file;
pub mod sandbox;
pub mod sealed;
pub mod udp;
pub mod wallet;
