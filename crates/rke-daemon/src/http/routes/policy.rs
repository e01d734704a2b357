//! What holds for the requests of a route. The gate, the limits, the log and the refusals read it.

use crate::http::gate::Attempt;

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
    /// For what is not a route: it does nothing, and only those hear so that could use one.
    pub(in crate::http) const NO_ROUTE: Self = Self {
        body: BodyRule::Small,
        weight: LogWeight::Use,
        cost: Cost::Free,
        attempt: Attempt::Other,
        audience: Audience::Applications,
    };
}

/// How much of a body a request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum BodyRule {
    /// Hardly any.
    Small,
    /// Data: in JSON as much as is read into memory, raw as much as there is.
    Data,
    /// As much as there is: it is worked on a piece at a time.
    Stream,
}

/// How much an operator wants to know of a request that succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum LogWeight {
    /// It changes something.
    Change,
    /// It only looks, or is one of very many.
    Use,
}

/// What a request takes of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Cost {
    /// Nothing.
    Free,
    /// A session creation.
    Creation,
    /// A receipt, where `verify=true` asks for one: it reads all of the daemon's memory.
    ReceiptIfVerified,
}

/// Who may send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Audience {
    /// Everybody, without the token: probes, and the pages, which have to be shown to ask for it.
    Everybody,
    /// Those that have the token, pages of other sites among them: the response says nothing of sessions.
    TokenHolders,
    /// Those that have the token, and of pages only those that have passed the gate.
    Applications,
}
