//! What the audit logs of a RAIDA node and of a Content Server record. The names and fields are those of
//! `docs/audit-log.md`. No event has room for a secret or for the whole id of a key.

use rke_host::audit::{Audit, Kind};
use serde::Serialize;

/// A node's audit log.
pub(crate) type NodeAudit = Audit<NodeEvent>;

/// A Content Server's audit log.
pub(crate) type ServerAudit = Audit<ServerEvent>;

/// Something that happened at a node.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum NodeEvent {
    /// The node has started to respond.
    NodeStarted { version: &'static str, raida: u8, coins: usize },
    /// The node stopped as requested.
    NodeStopped,
    /// A Content Server has preloaded master secrets.
    KeySetsPreloaded {
        cs_id: String,
        coin: String,
        /// Their names, with commas between them.
        key_sets: String,
    },
    /// A Content Server ID that nobody owned belongs to this coin from now on, because it was the first to preload it.
    IdTaken { cs_id: String, owner: String },
    /// The operator has moved a Content Server ID to another coin.
    IdMoved {
        cs_id: String,
        from: String,
        owner: String,
        /// How many key sets were removed with that.
        key_sets_removed: usize,
    },
    /// A known coin's preload was refused.
    PreloadRefused {
        reason: &'static str,
        /// How many preloads this line stands for.
        count: u64,
        /// Left out if they were for several.
        #[serde(skip_serializing_if = "Option::is_none")]
        cs_id: Option<String>,
        /// Left out if it was more than one.
        #[serde(skip_serializing_if = "Option::is_none")]
        coin: Option<String>,
    },
    /// A request was refused.
    RequestRefused {
        reason: &'static str,
        /// How many requests this line stands for.
        count: u64,
    },
}

impl rke_host::audit::Event for NodeEvent {
    fn kind_to_collect(&self) -> Option<Kind> {
        match self {
            Self::PreloadRefused { reason, .. } => Some(("preload", reason)),
            Self::RequestRefused { reason, .. } => Some(("request", reason)),
            _ => None,
        }
    }

    fn collect(&mut self, other: Self) {
        match (self, other) {
            (
                Self::PreloadRefused { count, cs_id, coin, .. },
                Self::PreloadRefused { count: more, cs_id: other_cs_id, coin: other_coin, .. },
            ) => {
                *count += more;
                *cs_id = cs_id.take().filter(|cs_id| Some(cs_id) == other_cs_id.as_ref());
                *coin = coin.take().filter(|coin| Some(coin) == other_coin.as_ref());
            }
            (Self::RequestRefused { count, .. }, Self::RequestRefused { count: more, .. }) => *count += more,
            _ => (),
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::NodeStopped)
    }
}

/// Something that happened at a Content Server.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum ServerEvent {
    /// The Content Server has started to serve.
    ContentServerStarted { version: &'static str, cs_id: String },
    /// The Content Server stopped as requested.
    ContentServerStopped { sessions_ended: usize },
    /// A client has opened a session.
    SessionOpened {
        domain: String,
        /// Whether it asked no RAIDA for it.
        resumed: bool,
        /// A coin that it has proven.
        #[serde(skip_serializing_if = "Option::is_none")]
        coin: Option<String>,
    },
    /// Keys that were derived from the session's key have left the Content Server.
    KeysExported { domain: String, label: String, count: usize },
    /// The client has deleted the session, and its key was wiped.
    SessionForgotten { domain: String },
    /// The session's key has expired, and was wiped.
    SessionExpired { domain: String },
    /// The session's key made room for another, and was wiped.
    SessionEvicted { domain: String },
    /// The operator has ended all sessions, and the key was wiped.
    SessionDropped { domain: String },
    /// The client has deleted a resumption, and it was wiped.
    ResumptionForgotten { domain: String },
    /// A resumption made room for another, and was wiped.
    ResumptionEvicted { domain: String },
    /// A client has opened a live session.
    LiveSessionOpened,
    /// A live session's key was wiped.
    LiveSessionEnded { how: &'static str },
    /// A key set is served from now on.
    KeySetServed(KeySetName),
    /// A key set is going to retire.
    KeySetRetiring {
        #[serde(flatten)]
        name: KeySetName,
        /// In Unix seconds.
        retires_at: u64,
    },
    /// A key set has retired.
    KeySetRetired(KeySetName),
    /// A key set is no longer in the data directory.
    KeySetGone(KeySetName),
    /// A client's first packet was refused.
    HandshakeRefused {
        reason: &'static str,
        /// How many packets this line stands for.
        count: u64,
    },
}

/// The name of a key set.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KeySetName {
    pub(crate) cs_id: String,
    pub(crate) key_set: String,
}

impl rke_host::audit::Event for ServerEvent {
    fn kind_to_collect(&self) -> Option<Kind> {
        match self {
            Self::HandshakeRefused { reason, .. } => Some(("handshake", reason)),
            _ => None,
        }
    }

    fn collect(&mut self, other: Self) {
        if let (Self::HandshakeRefused { count, .. }, Self::HandshakeRefused { count: more, .. }) =
            (self, other)
        {
            *count += more;
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::ContentServerStopped { .. })
    }
}
