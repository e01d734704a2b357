//! What the daemon's audit log records. The names and fields are those of `docs/audit-log.md`. No event has room for a
//! secret or a wallet's path.

use rke_host::audit::Kind;
use serde::Serialize;

use crate::Domain;
use crate::model::remote_deletion::RemoteCounts;

/// The daemon's audit log.
pub type Audit = rke_host::audit::Audit<Event>;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The daemon has started to serve.
    DaemonStarted { version: &'static str },
    /// The daemon stopped as requested.
    DaemonStopped {
        sessions_ended: usize,
        /// The counts of deletions at Content Servers, when it stopped.
        remote_deletions: RemoteCounts,
    },
    /// A session was opened.
    SessionCreated {
        /// The domain of the session.
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
    /// A request for a session failed.
    SessionRefused {
        /// The domain of the session.
        domain: Domain,
        /// The kind of the failure.
        reason: &'static str,
    },
    /// A session's expiry was postponed.
    SessionRenewed {
        /// The domain of the session.
        domain: Domain,
    },
    /// A session was ended, and its key wiped.
    SessionDeleted {
        /// The domain of the session.
        domain: Domain,
    },
    /// A session expired, and its key was wiped.
    SessionExpired {
        /// The domain of the session.
        domain: Domain,
    },
    /// A session was ended together with all others, by a signal or because the machine has slept, and its key was
    /// wiped.
    SessionDropped {
        /// The domain of the session.
        domain: Domain,
    },
    /// Keys that were derived from a session's key have left the daemon.
    KeysExported {
        /// The domain of the session.
        domain: Domain,
        /// What they are for.
        label: String,
        /// How many.
        count: usize,
    },
    /// Cached keys were removed on request.
    KeysForgotten {
        /// Their domain, unless the request was for all domains.
        #[serde(skip_serializing_if = "Option::is_none")]
        domain: Option<Domain>,
        /// How many keys were removed.
        count: usize,
    },
    /// A Content Server has proven that it wiped a key or a resumption.
    RemoteDeletionConfirmed {
        /// The key id or the resumption id.
        id: String,
        /// Host and port of the Content Server.
        server: String,
        /// The counts of deletions after this one.
        remote_deletions: RemoteCounts,
    },
    /// It has not proven that before the lifetime was over.
    RemoteDeletionGivenUp {
        /// The key id or the resumption id.
        id: String,
        /// Host and port of the Content Server.
        server: String,
        /// The counts of deletions after this one.
        remote_deletions: RemoteCounts,
    },
    /// A request was rejected at the gate.
    RequestRefused {
        /// The rule that rejected it.
        rule: &'static str,
        /// How many requests this line stands for.
        count: u64,
    },
}

impl rke_host::audit::Event for Event {
    fn kind_to_collect(&self) -> Option<Kind> {
        match self {
            Self::RequestRefused { rule, .. } => Some(("request", rule)),
            _ => None,
        }
    }

    fn collect(&mut self, other: Self) {
        if let (Self::RequestRefused { count, .. }, Self::RequestRefused { count: more, .. }) = (self, other)
        {
            *count += more;
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::DaemonStopped { .. })
    }
}
