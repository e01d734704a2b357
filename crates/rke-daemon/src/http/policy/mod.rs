//! The rules for the requests of a route: its row of the table, without the handler. The gate, the limits, the log,
//! the metrics and the counts of refused requests read the row that a request has matched.

mod attempt;
mod rows;

pub use self::attempt::Attempt;
pub(crate) use self::rows::Row;
pub(super) use self::rows::{Rows, Verb};

/// The policy of a route. There is no default: a route without one does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Policy {
    pub(in crate::http) body: BodyRule,
    pub(in crate::http) weight: LogWeight,
    pub(in crate::http) cost: Cost,
    pub(in crate::http) attempt: Attempt,
    pub(in crate::http) audience: Audience,
}

impl Policy {
    /// For requests without a route. They do nothing, and only clients that may use routes learn that.
    pub(in crate::http) const NO_ROUTE: Self = Self {
        body: BodyRule::Small,
        weight: LogWeight::Use,
        cost: Cost::Free,
        attempt: Attempt::Other,
        audience: Audience::Applications,
    };
}

/// How long a request's body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum BodyRule {
    /// None. A deletion that ignored what should limit it would delete more than was meant.
    Empty,
    /// A short one.
    Small,
    /// Data: as JSON, up to what is read into memory; raw, of any length.
    Data,
    /// Of any length, processed piece by piece.
    Stream,
}

/// How much an operator wants to know about a request that succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum LogWeight {
    /// It changes something.
    Change,
    /// It only reads, or is one of very many.
    Use,
}

/// The cost of a request against a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Cost {
    /// Nothing.
    Free,
    /// One session creation.
    Creation,
    /// One receipt, if `verify=true` requests it: a receipt reads all of the daemon's memory.
    ReceiptIfVerified,
}

/// Who may send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Audience {
    /// Everybody, without the token: probes, and the pages, which have to load to request the token.
    Everybody,
    /// Clients with the token, including pages of other sites: the response says nothing about sessions.
    TokenHolders,
    /// Clients with the token; of pages, only those that have passed the gate.
    Applications,
}
