//! What the audit log tells. The names and fields here are those of `docs/audit-log.md`. No variant has
//! room for a secret, a wallet's path or a session's id; the id comes beside it and is written as a tag.

use jiff::Timestamp;
use serde::Serialize;

use crate::Domain;
use crate::model::remote_deletion::RemoteCounts;
use crate::model::session_id::SessionId;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line of a file.
    FileBegun {
        /// The hash of the line before it, in the file before it.
        follows: String,
    },
    /// The last line of a file that was moved away.
    FileEnded,
    /// The line before this one is only the start of a line: whoever wrote it was killed.
    LineTorn {
        /// How much of it there is.
        bytes: usize,
        /// Its SHA-256.
        sha256: String,
        /// As in [`Event::FileBegun`], where the torn line is the first of its file.
        #[serde(skip_serializing_if = "Option::is_none")]
        follows: Option<String>,
    },
    /// Events before this one have no line.
    LinesLost {
        /// How many.
        count: u64,
    },
    /// The daemon serves.
    DaemonStarted {
        /// Its version.
        version: &'static str,
    },
    /// It stops as it was told.
    DaemonStopped {
        /// Sessions that ended with it.
        sessions_ended: usize,
        /// Deletions at Content Servers, when it stopped.
        remote_deletions: RemoteCounts,
    },
    /// A session was opened.
    SessionCreated {
        /// With whom.
        domain: Domain,
        /// Whether its key came from the cache.
        from_cache: bool,
        /// How strong the key is.
        key_bits: u16,
        /// Whether the Content Server has confirmed it.
        confirmed: bool,
        /// How well the two ends know each other.
        authenticated: &'static str,
    },
    /// A session was asked for, and there is none.
    SessionRefused {
        /// With whom.
        domain: Domain,
        /// What kind of failure it was.
        reason: &'static str,
    },
    /// A session's end was put off.
    SessionRenewed {
        /// With whom it is.
        domain: Domain,
    },
    /// A session was ended, and its key wiped.
    SessionDeleted {
        /// With whom it was.
        domain: Domain,
    },
    /// A session came to its end, and its key was wiped.
    SessionExpired {
        /// With whom it was.
        domain: Domain,
    },
    /// A session was ended together with all others, by a signal or because the machine has slept, and
    /// its key wiped.
    SessionDropped {
        /// With whom it was.
        domain: Domain,
    },
    /// Cached keys were removed because somebody wanted that.
    KeysForgotten {
        /// Whose, where it was not about all domains.
        #[serde(skip_serializing_if = "Option::is_none")]
        domain: Option<Domain>,
        /// How many there were.
        count: usize,
    },
    /// A Content Server has shown that it has wiped a key or a resumption.
    RemoteDeletionConfirmed {
        /// The key id or the resumption id.
        id: String,
        /// Host and port of the Content Server.
        server: String,
        /// How many there are after this one.
        remote_deletions: RemoteCounts,
    },
    /// It has not shown that, and the lifetime is over.
    RemoteDeletionGivenUp {
        /// The key id or the resumption id.
        id: String,
        /// Host and port of the Content Server.
        server: String,
        /// How many there are after this one.
        remote_deletions: RemoteCounts,
    },
    /// A request was refused at the gate.
    RequestRefused {
        /// By which rule.
        rule: &'static str,
        /// How many requests this line stands for.
        count: u64,
    },
}

/// An event, when it happened, and to which session.
pub(super) struct Entry {
    pub(super) time: Timestamp,
    pub(super) session: Option<SessionId>,
    pub(super) event: Event,
}

impl Entry {
    /// Something that happens to the log itself, now.
    pub(super) fn now(event: Event) -> Self {
        Self { time: Timestamp::now(), session: None, event }
    }
}
