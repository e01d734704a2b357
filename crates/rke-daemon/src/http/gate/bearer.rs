//! `Authorization: Bearer …`: the token that a daemon may want of every request. It is asked for
//! before a method or a session is looked at, so that nothing answers differently without it.

use axum::http::{StatusCode, header};

use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;
use crate::token::Token;

/// Lets through who has sent the token.
pub(super) fn check(head: &RequestHead<'_>, token: &Token) -> Result<(), Refusal> {
    let mut values = head.all(&header::AUTHORIZATION);
    let sent = match (values.next(), values.next()) {
        (Some(value), None) => bearer(value),
        _ => None,
    };
    if sent.is_some_and(|sent| token.matches(sent)) {
        return Ok(());
    }
    let message = "This daemon wants its token: send `Authorization: Bearer TOKEN` with the content of the file \
                   `token` in its data directory; for rke's own commands, name the file with --token-file";
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
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        for text in ["Bearer abc", "bearer abc", "BEARER   abc"] {
            assert_eq!(bearer(text.as_bytes()), Some(&b"abc"[..]), "{text}");
        }
        for text in ["", "abc", "Basic abc", "Bearerabc", "Bearer"] {
            assert_eq!(bearer(text.as_bytes()), None, "{text}");
        }
    }
}
