//! The parts of requests and responses that all other modules share: parameters, bodies and their time limits,
//! headers, errors. This module depends on none of the others.

pub(super) mod body;
pub(super) mod body_timeout;
pub(super) mod failure;
pub(super) mod headers;
pub(super) mod outgoing;
pub(super) mod query;
pub(crate) mod secret_body;
