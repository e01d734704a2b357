//! A deletion at the other end, and how many there are.

use rke_proto::handshake::{ForgetProof, ForgetToken, ID_LEN};
use serde::Serialize;

use super::server_name::ServerName;
use super::session_key::Farewell;

/// What is to be wiped at a Content Server, and what that takes. Nothing of the key follows from it.
#[derive(Clone)]
pub struct RemoteDeletion {
    /// A key id, or a resumption id.
    pub id: [u8; ID_LEN],
    /// The right to have it wiped.
    pub token: ForgetToken,
    /// What shows that it is.
    pub proof: ForgetProof,
    /// Where the Content Server is.
    pub server: ServerName,
    /// In Unix seconds: the other end has nothing of this name from then on.
    pub lives_until: u32,
}

impl RemoteDeletion {
    /// That of a session's key.
    pub fn of_key(farewell: Farewell, server: ServerName) -> Self {
        let Farewell { key_id, token, proof, lives_until } = farewell;
        Self { id: key_id.0, token, proof, server, lives_until }
    }
}

/// Numbers of deletions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RemoteCounts {
    /// Not confirmed yet.
    pub pending: usize,
    /// Confirmed since the daemon started.
    pub confirmed: u64,
}
