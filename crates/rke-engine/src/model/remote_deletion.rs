//! A deletion at the other end, and the counts of such deletions.

use rke_proto::handshake::{ForgetProof, ForgetToken, ID_LEN};
use serde::Serialize;

use super::server_name::ServerName;
use super::session_key::Farewell;

/// What is to be wiped at a Content Server, and the data needed for that. The key cannot be derived from it.
#[derive(Clone)]
pub struct RemoteDeletion {
    /// A key id, or a resumption id.
    pub id: [u8; ID_LEN],
    /// The right to have it wiped.
    pub token: ForgetToken,
    /// Proves that it is wiped.
    pub proof: ForgetProof,
    /// Where the Content Server is.
    pub server: ServerName,
    /// In Unix seconds: when the key or resumption expires at the other end.
    pub lives_until: u32,
}

impl RemoteDeletion {
    /// The deletion of a session's key.
    pub fn of_key(farewell: Farewell, server: ServerName) -> Self {
        let Farewell { key_id, token, proof, lives_until } = farewell;
        Self { id: key_id.0, token, proof, server, lives_until }
    }
}

/// The counts of deletions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RemoteCounts {
    /// Not confirmed yet.
    pub pending: usize,
    /// Confirmed since the daemon started.
    pub confirmed: u64,
}
