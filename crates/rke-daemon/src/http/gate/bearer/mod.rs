//! `Authorization: Bearer …`: the token that a daemon may require from every request. It is checked before the
//! method or a session is looked at, so without it nothing responds differently.

use axum::http::{StatusCode, header};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;
use crate::token::Token;

const MISSING: &str = "This daemon requires its access token: send `Authorization: Bearer TOKEN` with the content of the file \
                       `token` in its data directory; for rke's own commands, name the file with --token-file";
const WRONG: &str = "The access token is not this daemon's, which makes a new one at each start: send the content of the file \
                     `token` in its data directory; for rke's own commands, name the file with --token-file";

/// Admits a request that carries the token.
pub(super) fn check(head: &RequestHead<'_>, token: &Token) -> Result<(), Refusal> {
    let mut values = head.all(&header::AUTHORIZATION);
    let sent = match (values.next(), values.next()) {
        (Some(value), None) => bearer(value),
        _ => None,
    };
    if sent.is_some_and(|sent| token.matches(sent)) {
        return Ok(());
    }
    let message = if sent.is_some() { WRONG } else { MISSING };
    let mut refusal = Refusal::new(Rule::Token, StatusCode::UNAUTHORIZED, message);
    refusal.failure = refusal.failure.challenging();
    Err(refusal)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests;
