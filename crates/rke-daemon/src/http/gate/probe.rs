//! The probes of `rke doctor`, which checks that the gate rejects what it should. They are rejected like any other such
//! request, but neither counted nor audited: a healthy check must not look like an attack.
//!
//! An attacker gains nothing by sending them. No page has this host or origin, because names below `invalid` never
//! exist (RFC 6761), and this token is too short to be one.

use axum::http::header;

use super::refusals::Rule;
use super::request_head::RequestHead;

/// The `Host` of a probe.
pub const HOST: &str = "rke-doctor.invalid";

/// The `Origin` of a probe.
pub const ORIGIN: &str = "https://rke-doctor.invalid";

/// The `Authorization` of a probe.
pub const AUTHORIZATION: &str = "Bearer rke-doctor";

/// Whether `rule` rejects the request because of what makes it a probe.
pub(super) fn is_one(head: &RequestHead<'_>, rule: Rule) -> bool {
    let (name, value) = match rule {
        Rule::Host => (header::HOST, HOST),
        Rule::Origin => (header::ORIGIN, ORIGIN),
        Rule::Token => (header::AUTHORIZATION, AUTHORIZATION),
        _ => return false,
    };
    head.all(&name).eq([value.as_bytes()])
}
