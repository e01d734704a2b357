//! What has happened in the daemon, and the receipts of sessions that have ended.

use jiff::Timestamp;
use serde::Deserialize;

use super::Wipe;

/// The last things that happened, newest first.
#[derive(Debug, Clone, Deserialize)]
pub struct Activity {
    /// How many events there are.
    pub total: usize,
    /// The events.
    pub events: Vec<Happened>,
}

/// Something that happened.
#[derive(Debug, Clone, Deserialize)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What: `session_created`, `session_deleted` and others, as `docs/api.md` lists them.
    pub event: String,
    /// The first 8 digits of the session's id.
    pub session: Option<String>,
    /// The domain that it is about.
    pub domain: Option<String>,
    /// One word more: where a key came from, or why something was refused.
    pub detail: Option<String>,
    /// How many requests or cached keys it stands for.
    pub count: u64,
    /// Of a session that has ended.
    pub receipt: Option<ErasureReceipt>,
}

/// What shows that a session has ended, and its key with it.
#[derive(Debug, Clone, Deserialize)]
pub struct ErasureReceipt {
    /// Why it ended: `request`, `request_for_all`, `expiry` or `drop`.
    pub how: String,
    /// The first 8 digits of the name of its key, the same at the Content Server.
    pub key_id: Option<String>,
    /// The state of the key at the Content Server: `pending`, `forgotten`, `given_up` or `unsupported`.
    pub remote: String,
    /// When that was settled.
    pub remote_at: Option<Timestamp>,
    /// The memory scan, where one was asked for.
    pub wipe: Option<Wipe>,
}
