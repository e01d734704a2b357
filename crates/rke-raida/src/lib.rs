//! The other side of the exchange: RAIDA nodes, the Content Server with its master secrets, and a local network of 25
//! nodes with DNS and coins, built from the same parts.
//!
//! A whole network in this process, to test its clients:
//!
//! ```
//! use rke_proto::{ContentServerId, RaidaIndex};
//! use rke_raida::network::{LocalNetwork, LocalNetworkConfig};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let mut network = LocalNetwork::start(LocalNetworkConfig {
//!     dir: path.to_owned(),
//!     domain: "content.rke.test".into(),
//!     cs_id: ContentServerId::new("CONTENT-SERVER01").ok_or("no ID")?,
//!     // Any free ports.
//!     first_raida_port: 0,
//!     dns_port: 0,
//!     content_server_port: 0,
//! })
//! .await?;
//! // A daemon needs `--dns-server` and the path of a wallet.
//! println!("DNS at {}, coins in {}", network.dns_address(), network.wallet().display());
//! assert_eq!(network.node_addresses().len(), 25);
//! assert!(network.wallet().join("Bank").is_dir());
//!
//! // As if the machine had failed.
//! network.stop_node(RaidaIndex::new(7).ok_or("no RAIDA 7")?).await;
//! network.stop().await;
//! # Ok(())
//! # }
//! ```

mod audit;
mod clock;
pub mod content_server;
pub mod dns;
pub mod key_sets;
mod log_limit;
pub mod mint;
pub mod network;
pub mod node;
pub mod owners;
pub mod replay;
pub mod responder;
pub mod split;
