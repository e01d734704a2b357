//! `Authorization: Bearer …`: the token that a daemon may require from every request, and a Content Server from those over
//! TCP. It is checked before the method or a session is looked at, so without it nothing responds differently.

use axum::http::{StatusCode, header};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;
use crate::token::Token;

/// What is wrong with a request's token, in the words of the program that responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Texts {
    missing: &'static str,
    wrong: &'static str,
}

pub(super) const OF_DAEMON: Texts = Texts {
    missing: "This daemon requires its access token: send `Authorization: Bearer TOKEN` with the content of the file \
              `token` in its data directory; for rke's own commands, name the file with --token-file",
    wrong: "The access token is not this daemon's, which makes a new one at each start: send the content of the file \
            `token` in its data directory; for rke's own commands, name the file with --token-file",
};

pub(super) const OF_CONTENT_SERVER: Texts = Texts {
    missing: "This Content Server requires its access token: send `Authorization: Bearer TOKEN` with the content of the \
              file `token` in its data folder; for rke's own commands, name the file with --token-file",
    wrong: "The access token is not this Content Server's, which makes a new one at each start: send the content of the \
            file `token` in its data folder; for rke's own commands, name the file with --token-file",
};

/// Admits a request that carries the token. The words are needed only for a refusal.
pub(super) fn check(
    head: &RequestHead<'_>,
    token: &Token,
    texts: impl FnOnce() -> Texts,
) -> Result<(), Refusal> {
    let mut values = head.all(&header::AUTHORIZATION);
    let sent = match (values.next(), values.next()) {
        (Some(value), None) => bearer(value),
        _ => None,
    };
    if sent.is_some_and(|sent| token.matches(sent)) {
        return Ok(());
    }
    let Texts { missing, wrong } = texts();
    let message = if sent.is_some() { wrong } else { missing };
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
