//! What was refused at the gate: the answer, and a count for each rule, so that an operator sees
//! who knocks. Nothing of a request is kept but its origin and what it was after.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use jiff::Timestamp;

use super::attempt::Attempt;
use crate::clock::wall_clock;
use crate::http::failure::Failure;

/// Longest text of an origin that is kept, in characters.
const MAX_ORIGIN_LEN: usize = 256;

/// The rules of the gate, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The sizes of URI, headers and body.
    Size,
    /// The `Host` header.
    Host,
    /// The `Origin` header.
    Origin,
    /// The `Sec-Purpose` header.
    Prefetch,
    /// The `Sec-Fetch-*` headers.
    Fetch,
    /// The token.
    Token,
    /// The `X-RKE-Request` header.
    Header,
    /// The method.
    Method,
    /// How often sessions may be opened.
    SessionRate,
    /// How often receipts of deletions may be asked for.
    ReceiptRate,
}

impl Rule {
    /// Its name, for metrics and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Prefetch => "prefetch",
            Self::Fetch => "fetch",
            Self::Token => "token",
            Self::Header => "header",
            Self::Method => "method",
            Self::SessionRate => "session_rate",
            Self::ReceiptRate => "receipt_rate",
        }
    }
}

/// A request that is refused, by which rule and with which answer.
#[derive(Debug)]
pub(in crate::http) struct Refusal {
    pub(in crate::http) rule: Rule,
    pub(in crate::http) failure: Failure,
}

impl Refusal {
    pub(in crate::http) fn new(rule: Rule, status: StatusCode, message: &str) -> Self {
        Self { rule, failure: Failure::new(status, message) }
    }

    /// 429 for something that was asked for too often.
    pub(super) fn too_often(rule: Rule, message: &str, wait: Duration) -> Self {
        Self { rule, failure: Failure::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(wait) }
    }
}

/// The last request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRefusal {
    /// By which rule.
    pub rule: Rule,
    /// The start of its `Origin`, where it had one.
    pub origin: Option<String>,
    /// What it was after.
    pub attempt: Attempt,
    /// When.
    pub at: Timestamp,
}

/// Counts of refusals since the start.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    counts: BTreeMap<Rule, u64>,
    last: Option<LastRefusal>,
}

impl Refusals {
    pub(super) fn add(&self, rule: Rule, origin: Option<&HeaderValue>, attempt: Attempt) {
        let text = |origin: &HeaderValue| String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let origin = origin.map(|origin| text(origin).chars().take(MAX_ORIGIN_LEN).collect());
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.counts.entry(rule).or_default() += 1;
        counted.last = Some(LastRefusal { rule, origin, attempt, at: wall_clock() });
    }

    /// How many requests each rule has refused; rules that have refused none are left out.
    pub fn counts(&self) -> BTreeMap<Rule, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    /// How many all of them have refused.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.values().sum()
    }

    /// The last one.
    pub fn last(&self) -> Option<LastRefusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_rule_and_keeps_the_last() {
        let refusals = Refusals::default();
        let origin: HeaderValue = "x".repeat(300).parse().expect("a value");
        refusals.add(Rule::Host, None, Attempt::Read);
        refusals.add(Rule::Origin, Some(&origin), Attempt::DeleteSession);
        refusals.add(Rule::Origin, Some(&origin), Attempt::DeleteSession);
        assert_eq!(refusals.counts(), BTreeMap::from([(Rule::Host, 1), (Rule::Origin, 2)]));
        let last = refusals.last().expect("a refusal");
        assert_eq!((last.rule.name(), last.origin.map(|text| text.len())), ("origin", Some(256)));
        assert_eq!((last.attempt, refusals.total()), (Attempt::DeleteSession, 3));
    }
}
