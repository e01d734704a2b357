//! The Content Server: the other end of the exchange. It holds the master secrets from which the RAIDAs derive the
//! shares, so it derives each client's key itself. `docs/protocol.md` sections 1 and 5 to 8. Inside, `server ->
//! {sharing, reception, key_ring, application}`, `sharing -> reception`, and `master_secrets` below them.

mod application;
mod key_ring;
mod master_secrets;
mod reception;
mod records;
mod server;
mod sharing;

pub use application::{
    Application, Interface, KeyCommand, KeyCommandError, KeyFormat, KeyService, KeyTarget, Launcher,
    PublicKey, Target, launch_commands, wireguard_command,
};
pub use key_ring::{KeyRing, ListedKeySet, Preloaded, ServedKeySet, list_key_sets};
pub use master_secrets::{ContentServerError, MasterSecrets, PreloadReport};
pub use reception::{
    Client, Closing, EndWatcher, Ending, Fresh, Keeper, MAX_LIFETIME_SECONDS, NewSession, Opens, Outcome,
    Pending, REPLY_RANDOM_LEN, Reception, ReceptionPolicy, Reply,
};
pub use records::{DnsRecords, MAX_TTL, RecordFormat, WrongLine};
pub use server::{ContentServer, ServerConfig, ServerError};
