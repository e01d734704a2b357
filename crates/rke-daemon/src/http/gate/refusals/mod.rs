//! Requests that the gate rejected: the response, and a count for each rule, so an operator sees who tries to get
//! in. Of a request, only its origin and its purpose are kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use rke_engine::model::clock::wall_clock;
use rke_engine::model::viewer::{Page, Viewer};

use crate::http::message::failure::Failure;
use crate::http::policy::Attempt;

/// The longest text of an origin that is kept, in characters.
const MAX_ORIGIN_LEN: usize = 256;

/// The most pages whose rejected requests are counted separately.
const MAX_PAGES: usize = 64;

/// The rules of the gate, in the order in which they apply.
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
    /// How often receipts of deletions may be requested.
    ReceiptRate,
}

impl Rule {
    /// All of them, so that the metrics show those too that have rejected nothing yet.
    pub const ALL: [Self; 10] = [
        Self::Size,
        Self::Host,
        Self::Origin,
        Self::Prefetch,
        Self::Fetch,
        Self::Token,
        Self::Header,
        Self::Method,
        Self::SessionRate,
        Self::ReceiptRate,
    ];

    /// Its name, for metrics and for people.
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

/// A refused request: the rule that refused it, and the response.
#[derive(Debug)]
pub(in crate::http) struct Refusal {
    pub(in crate::http) rule: Rule,
    pub(in crate::http) failure: Failure,
}

impl Refusal {
    pub(in crate::http) fn new(rule: Rule, status: StatusCode, message: &str) -> Self {
        Self { rule, failure: Failure::new(status, message) }
    }

    /// 429 for something that was requested too often.
    pub(super) fn too_often(rule: Rule, message: &str, wait: Duration) -> Self {
        Self { rule, failure: Failure::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(wait) }
    }
}

/// Marks a response: this rule of the gate refused the request.
#[derive(Clone, Copy)]
pub(in crate::http) struct RefusedBy(pub(in crate::http) Rule);

/// The last refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRefusal {
    /// The rule that refused it.
    pub rule: Rule,
    /// The start of its `Origin`, or else of the origin in its `Referer`, if it had one.
    pub origin: Option<String>,
    /// What it would have done.
    pub attempt: Attempt,
    /// When.
    pub at: Timestamp,
}

/// Refused requests since the start.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    all: Counted,
    /// By origin, for the page that requests them.
    of_pages: HashMap<Page, OfPage>,
}

/// The refused requests of one page.
#[derive(Debug, Default)]
struct OfPage {
    counted: Counted,
    /// The count of all refused requests when this page's last one arrived.
    last: u64,
}

/// Counts of refused requests, and the last of them.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// How many requests each rule has refused. Rules that have refused none are left out.
    pub counts: BTreeMap<Rule, u64>,
    /// The last one.
    pub last: Option<LastRefusal>,
}

impl Counted {
    /// How many requests all rules have refused.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    fn add(&mut self, refusal: LastRefusal) {
        *self.counts.entry(refusal.rule).or_default() += 1;
        self.last = Some(refusal);
    }
}

impl Noted {
    /// The counts of a page. If there are too many pages, the one whose last refusal is oldest loses its counts.
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
        // A page whose origin is refused cannot request its counts.
        let page = origin.as_deref().filter(|_| rule > Rule::Origin).map(Page::new);
        let refusal = LastRefusal { rule, origin, attempt, at: wall_clock() };
        let mut noted = self.lock();
        noted.all.add(refusal.clone());
        if let Some(page) = page {
            noted.of_page(page).add(refusal);
        }
    }

    /// All refused requests.
    pub fn all(&self) -> Counted {
        self.lock().all.clone()
    }

    /// The refused requests that the viewer may see. A page sees only its own.
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
mod tests;
