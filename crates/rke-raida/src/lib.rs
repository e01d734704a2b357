//! The other side of the exchange: RAIDA nodes, the Content Server with its master secrets, and a
//! local network of 25 nodes with DNS and coins, made of these same parts.

mod clock;
pub mod content_server;
pub mod dns;
pub mod key_sets;
pub mod mint;
pub mod network;
pub mod node;
pub mod owners;
pub mod replay;
pub mod responder;
