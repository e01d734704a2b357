//! An event as it is kept in memory. The names are those of the audit log. No field has room for a secret or for a
//! whole session id.

use std::fmt;

use rke_proto::handshake::ID_LEN;

use crate::Domain;
use crate::model::search::Search;
use crate::model::session_id::SessionId;
use crate::model::viewer::Page;

/// How many bytes of an id are kept: enough to tell sessions apart, too few to use one.
const SHORT_LEN: usize = 4;

/// The beginning of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShortId([u8; SHORT_LEN]);

impl ShortId {
    pub(super) fn of_session(id: SessionId) -> Self {
        Self::of(id.as_bytes())
    }

    /// The beginning of a key id or a resumption id.
    pub(super) fn of([a, b, c, d, ..]: &[u8; ID_LEN]) -> Self {
        Self([*a, *b, *c, *d])
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The daemon has started to serve.
    DaemonStarted,
    /// A session was opened.
    SessionCreated,
    /// A request for a session failed.
    SessionRefused,
    /// A session's expiry was postponed.
    SessionRenewed,
    /// A session's key has reached its encryption limit.
    SessionUsedUp,
    /// A request ended a session.
    SessionDeleted,
    /// A session expired.
    SessionExpired,
    /// A session was ended together with all others.
    SessionDropped,
    /// Cached keys were removed.
    KeysForgotten,
    /// A Content Server has proven that it wiped a key or a resumption.
    RemoteDeletionConfirmed,
    /// It has not proven that before the lifetime was over.
    RemoteDeletionGivenUp,
    /// Requests were rejected at the gate.
    RequestRefused,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::DaemonStarted,
        Self::SessionCreated,
        Self::SessionRefused,
        Self::SessionRenewed,
        Self::SessionUsedUp,
        Self::SessionDeleted,
        Self::SessionExpired,
        Self::SessionDropped,
        Self::KeysForgotten,
        Self::RemoteDeletionConfirmed,
        Self::RemoteDeletionGivenUp,
        Self::RequestRefused,
    ];

    /// Its name, as in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::DaemonStarted => "daemon_started",
            Self::SessionCreated => "session_created",
            Self::SessionRefused => "session_refused",
            Self::SessionRenewed => "session_renewed",
            Self::SessionUsedUp => "session_used_up",
            Self::SessionDeleted => "session_deleted",
            Self::SessionExpired => "session_expired",
            Self::SessionDropped => "session_dropped",
            Self::KeysForgotten => "keys_forgotten",
            Self::RemoteDeletionConfirmed => "remote_deletion_confirmed",
            Self::RemoteDeletionGivenUp => "remote_deletion_given_up",
            Self::RequestRefused => "request_refused",
        }
    }
}

/// The session that an event is about.
pub struct Subject {
    /// Its id. Only the beginning is kept.
    pub session: SessionId,
    /// The domain of the session.
    pub domain: Domain,
    /// The page that opened it.
    pub page: Option<Page>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A request ended this session.
    Request,
    /// A request ended several sessions.
    RequestForAll,
    /// It expired.
    Expiry,
    /// All were dropped, by a signal or after a sleep.
    Drop,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Request, Self::RequestForAll, Self::Expiry, Self::Drop];

    /// Its name in the HTTP API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::RequestForAll => "request_for_all",
            Self::Expiry => "expiry",
            Self::Drop => "drop",
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Request | Self::RequestForAll => Kind::SessionDeleted,
            Self::Expiry => Kind::SessionExpired,
            Self::Drop => Kind::SessionDropped,
        }
    }
}

/// The state of a key at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEnd {
    /// It has not proven that the key is wiped there too.
    Pending,
    /// It has proven that, at this time in Unix seconds.
    Forgotten(u32),
    /// It has not proven that before the key's lifetime was over, at this time in Unix seconds.
    GivenUp(u32),
    /// It has no message for that.
    Unsupported,
}

impl OtherEnd {
    /// All names that [`OtherEnd::name`] returns.
    pub const NAMES: [&str; 4] = ["pending", "forgotten", "given_up", "unsupported"];

    /// Its name in the HTTP API.
    pub fn name(self) -> &'static str {
        let [pending, forgotten, given_up, unsupported] = Self::NAMES;
        match self {
            Self::Pending => pending,
            Self::Forgotten(_) => forgotten,
            Self::GivenUp(_) => given_up,
            Self::Unsupported => unsupported,
        }
    }

    /// When it was settled, in Unix seconds.
    pub fn at(self) -> Option<u32> {
        match self {
            Self::Forgotten(at) | Self::GivenUp(at) => Some(at),
            Self::Pending | Self::Unsupported => None,
        }
    }
}

/// The evidence that a session and its key are gone.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// How the session ended.
    pub how: How,
    /// The id of the deletion at the other end: that of the key.
    pub(super) deletion: Option<[u8; ID_LEN]>,
    /// The state of the key at the other end.
    pub other_end: OtherEnd,
    /// The search of memory, if one was requested.
    pub wipe: Option<Box<Search>>,
}

impl Receipt {
    pub(super) fn new(how: How, deletion: Option<[u8; ID_LEN]>) -> Self {
        let other_end = if deletion.is_some() { OtherEnd::Pending } else { OtherEnd::Unsupported };
        Self { how, deletion, other_end, wipe: None }
    }

    /// The beginning of the key's id, which is the same at both ends.
    pub fn key(&self) -> Option<ShortId> {
        self.deletion.as_ref().map(ShortId::of)
    }
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// How many events happened before it.
    pub(super) number: u64,
    /// When it happened, in Unix seconds.
    pub at: u32,
    /// What happened.
    pub kind: Kind,
    /// The session that it happened to.
    pub session: Option<ShortId>,
    /// The domain of the session.
    pub domain: Option<Domain>,
    /// The page that opened the session.
    pub(super) page: Option<Page>,
    /// A detail in one word: where a key came from, or the reason or the rule of a refusal.
    pub detail: Option<&'static str>,
    /// How many requests or keys it stands for.
    pub count: u64,
    /// Only if a session has ended.
    pub receipt: Option<Receipt>,
}

impl Event {
    /// An event that happens now. Its number is set when it gets its place.
    pub(super) fn now(kind: Kind, at: u32) -> Self {
        Self {
            number: 0,
            at,
            kind,
            session: None,
            domain: None,
            page: None,
            detail: None,
            count: 1,
            receipt: None,
        }
    }

    /// Makes it an event of this session.
    pub(super) fn of(self, Subject { session, domain, page }: Subject) -> Self {
        Self { session: Some(ShortId::of_session(session)), domain: Some(domain), page, ..self }
    }
}
