//! The states of sessions and RAIDAs in a few words: what to know before using them.

use anstyle::Style;
use jiff::Timestamp;
use rke_client::response::{Authenticated, SessionSummary, Shown};

use crate::terminal::{BAD, DIM, DOUBTFUL, GOOD};

/// A session expires soon if it has less than this left,
const SOON_SECONDS: i64 = 300;

/// and less than this fraction (one in `SOON_PART`) of its lifetime.
const SOON_PART: i64 = 10;

/// The states of a RAIDA: the name in the API, words for people, and their style.
const RAIDA_STATES: [(&str, &str, Style); 4] = [
    ("well", "healthy", GOOD),
    ("failing", "no response", DOUBTFUL),
    ("no_key_set", "no key set", DOUBTFUL),
    ("lying", "wrong share", BAD),
];

/// The state of a RAIDA in words, by its name in the API. A state that only later daemons know counts as unknown.
pub(crate) fn of_raida(name: &str) -> (Style, &'static str) {
    let known = RAIDA_STATES.iter().find(|(state, ..)| *state == name);
    known.map_or((DIM, "not asked yet"), |(_, words, style)| (*style, words))
}

/// The state in words, in the style of the worst of them. It is `ok` if nothing is wrong, and `-` if it is unknown
/// how the key was made.
pub(crate) fn state(row: &SessionSummary, shown: Option<&Shown>) -> (Style, String) {
    state_at(Timestamp::now(), row, shown)
}

fn state_at(now: Timestamp, row: &SessionSummary, shown: Option<&Shown>) -> (Style, String) {
    let Some(shown) = shown else { return (DIM, "-".into()) };
    let authenticated = match shown.authenticated {
        Authenticated::Strong => None,
        Authenticated::Weak => Some((DOUBTFUL, "weakly authenticated")),
        Authenticated::No => Some((BAD, "weak")),
    };
    let gone = shown.key_gone.then_some((BAD, "key gone"));
    let unconfirmed = (!shown.confirmed).then_some((DOUBTFUL, "not confirmed"));
    let lied = (!shown.liars.is_empty()).then_some((DOUBTFUL, "wrong share left out"));
    let soon = expires_soon(now, row).then_some((DOUBTFUL, "expires soon"));
    let all: Vec<(Style, &str)> =
        [gone, authenticated, unconfirmed, lied, soon].into_iter().flatten().collect();
    match all.first() {
        None => (GOOD, "ok".into()),
        Some((style, _)) => (*style, all.iter().map(|(_, words)| *words).collect::<Vec<_>>().join(", ")),
    }
}

fn expires_soon(now: Timestamp, row: &SessionSummary) -> bool {
    let (now, opened, expires) = (now.as_second(), row.created_at.as_second(), row.expires_at.as_second());
    expires - now < SOON_SECONDS.min((expires - opened) / SOON_PART)
}

#[cfg(test)]
mod tests;
