//! What was refused at the gate: the answer, and a count for each rule, so that an operator sees
//! who knocks. Nothing of a request is kept but its origin and what it was after.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use rke_engine::model::clock::wall_clock;
use rke_engine::model::viewer::{Page, Viewer};

use super::attempt::Attempt;
use crate::http::api::failure::Failure;

/// Longest text of an origin that is kept, in characters.
const MAX_ORIGIN_LEN: usize = 256;

/// Most pages whose refusals are counted apart.
const MAX_PAGES: usize = 64;

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

/// On an answer: the gate refused the request, by this rule.
#[derive(Clone, Copy)]
pub(in crate::http) struct RefusedBy(pub(in crate::http) Rule);

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

/// Refusals since the start.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    all: Counted,
    /// By origin, for the page that asks.
    of_pages: HashMap<Page, OfPage>,
}

/// The refusals of one page.
#[derive(Debug, Default)]
struct OfPage {
    counted: Counted,
    /// How many refusals there had been of all when its last came.
    last: u64,
}

/// Counts of refusals, and the last of them.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// How many requests each rule has refused; rules that have refused none are left out.
    pub counts: BTreeMap<Rule, u64>,
    /// The last one.
    pub last: Option<LastRefusal>,
}

impl Counted {
    /// How many all rules have refused.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    fn add(&mut self, refusal: LastRefusal) {
        *self.counts.entry(refusal.rule).or_default() += 1;
        self.last = Some(refusal);
    }
}

impl Noted {
    /// The counts of a page. Where there are too many pages, the one that was refused longest ago loses its own.
    fn of_page(&mut self, page: Page) -> &mut Counted {
        if self.of_pages.len() >= MAX_PAGES && !self.of_pages.contains_key(&page) {
            let oldest = self.of_pages.iter().min_by_key(|(_, of_page)| of_page.last);
            if let Some(oldest) = oldest.map(|(page, _)| page.clone()) {
                self.of_pages.remove(&oldest);
            }
        }
        let of_page = self.of_pages.entry(page).or_default();
        of_page.last = self.all.total();
        &mut of_page.counted
    }
}

impl Refusals {
    pub(super) fn add(&self, rule: Rule, origin: Option<&HeaderValue>, attempt: Attempt) {
        let text = |origin: &HeaderValue| String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let origin: Option<String> = origin.map(|origin| text(origin).chars().take(MAX_ORIGIN_LEN).collect());
        // Pages that are not let in cannot ask for this.
        let page = origin.as_deref().filter(|_| rule > Rule::Origin).map(Page::new);
        let refusal = LastRefusal { rule, origin, attempt, at: wall_clock() };
        let mut noted = self.lock();
        noted.all.add(refusal.clone());
        if let Some(page) = page {
            noted.of_page(page).add(refusal);
        }
    }

    /// All of them.
    pub fn all(&self) -> Counted {
        self.lock().all.clone()
    }

    /// Those that the viewer may see: a page sees what was refused to itself.
    pub fn seen_by(&self, viewer: &Viewer) -> Counted {
        match viewer {
            Viewer::Program => self.all(),
            Viewer::Page(page) => {
                self.lock().of_pages.get(page).map(|of_page| of_page.counted.clone()).unwrap_or_default()
            }
            Viewer::NullOrigin => Counted::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let all = refusals.all();
        assert_eq!(all.counts, BTreeMap::from([(Rule::Host, 1), (Rule::Origin, 2)]));
        let last = all.last.clone().expect("a refusal");
        assert_eq!((last.rule.name(), last.origin.map(|text| text.len())), ("origin", Some(256)));
        assert_eq!((last.attempt, all.total()), (Attempt::DeleteSession, 3));
    }

    #[test]
    fn a_page_sees_what_was_refused_to_itself() {
        let refusals = Refusals::default();
        let add = |rule, origin: &str| {
            let origin = HeaderValue::from_str(origin).expect("a value");
            refusals.add(rule, Some(&origin), Attempt::OpenSession);
        };
        let total = |origin: &str| refusals.seen_by(&Viewer::Page(Page::new(origin))).total();
        refusals.add(Rule::Fetch, None, Attempt::OpenSession);
        add(Rule::Fetch, "http://localhost:3000");
        add(Rule::Method, "http://LOCALHOST:3000");
        add(Rule::Origin, "http://evil.test");
        assert_eq!((total("http://localhost:3000"), total("http://localhost:3001")), (2, 0));
        assert_eq!(total("http://evil.test"), 0, "it is not let in");
        let last = refusals.seen_by(&Viewer::Page(Page::new("http://localhost:3000"))).last;
        assert_eq!(last.map(|last| last.rule), Some(Rule::Method));
        assert_eq!(refusals.seen_by(&Viewer::NullOrigin).total(), 0);
        assert_eq!(refusals.seen_by(&Viewer::Program).total(), 4);
        // Many others, so that the first loses its counts, while one that is refused again and again keeps them.
        for port in 4000..4100 {
            add(Rule::Fetch, &format!("http://localhost:{port}"));
            add(Rule::Fetch, "http://localhost:3001");
        }
        assert_eq!((total("http://localhost:3000"), total("http://localhost:3001")), (0, 100));
        assert_eq!(refusals.lock().of_pages.len(), MAX_PAGES);
    }
}
