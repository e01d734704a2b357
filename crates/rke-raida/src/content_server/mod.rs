//! The Content Server: the other end of the exchange. It holds the master secrets from which the
//! RAIDAs' shares are made, so it derives each client's key by itself. `docs/protocol.md` sections 1
//! and 5 to 8. Inside, `server -> {reception, key_ring, application}`, and below them `master_secrets`.

mod application;
mod key_ring;
mod master_secrets;
mod reception;
mod server;

pub use application::{Application, Launcher, launch_commands};
pub use key_ring::{KeyRing, ServedKeySet};
pub use master_secrets::{ContentServerError, DnsRecords, MasterSecrets, PreloadReport};
pub use reception::{
    Client, Closing, Ending, Fresh, MAX_LIFETIME_SECONDS, NewSession, OnLine, Opens, Outcome, Pending,
    REPLY_RANDOM_LEN, Reception, Reply, Rules,
};
pub use server::{ContentServer, ServerConfig, ServerError};
