//! What is noted of every request: an id that its answer and its log lines carry, one line in the log, and
//! its counters. Of the request itself only the method and the matched route are kept: a path or a query
//! may hold a session's id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use rke_engine::model::clock::Reading;
use tracing::{Instrument, Span};

use super::traffic::{Counters, MethodName, Traffic};
use crate::http::gate::RefusedBy;
use crate::http::routes::{LogWeight, Rows};
use crate::http::wire::headers;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What notes requests.
pub(in crate::http) struct Observer {
    traffic: Arc<Traffic>,
    /// An id that tells this run of the daemon from others, and counts nothing yet.
    run: [u8; ID_LEN],
    next: AtomicU64,
}

/// Bytes of an id that tell the run, and bytes that count its requests.
const RUN_LEN: usize = 4;
const COUNT_LEN: usize = 5;
const ID_LEN: usize = 2 * RUN_LEN + 1 + 2 * COUNT_LEN;

/// The name of a request, in hex: made without an allocation, because each request needs one.
struct RequestId([u8; ID_LEN]);

impl RequestId {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What requests have in common that go the same way: found once for those that come by the thousand.
#[derive(Clone, Copy)]
pub(in crate::http) struct Kind {
    method: MethodName,
    rows: Rows,
    weight: LogWeight,
}

impl Kind {
    /// The kind of requests with this method, to the path of these rows.
    pub(in crate::http) fn of(method: &Method, rows: Rows) -> Self {
        Self { method: MethodName::of(method), rows, weight: rows.policy(method).weight }
    }
}

impl Observer {
    pub(in crate::http) fn new(traffic: Arc<Traffic>) -> Self {
        let (mut bytes, mut run) = ([0; RUN_LEN], [b'-'; ID_LEN]);
        // Without random bytes the ids of two runs may be alike, which harms nothing but a search.
        let _ = getrandom::fill(&mut bytes);
        // The length fits, so it cannot fail.
        let _ = hex::encode_to_slice(bytes, &mut run[..2 * RUN_LEN]);
        Self { traffic, run, next: AtomicU64::new(1) }
    }

    /// Notes that a request has come. A client's own `X-Request-Id` is not taken: whoever can choose ids can
    /// make two requests look like one.
    pub(in crate::http) fn begin(
        &self,
        Kind { method, rows, weight }: Kind,
        began: Reading,
    ) -> RequestRecord<'_> {
        RequestRecord {
            id: self.next_id(),
            method,
            route: self.traffic.of(rows),
            weight,
            began,
            is_answered: false,
        }
    }

    fn next_id(&self) -> RequestId {
        let (mut id, count) = (self.run, self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        // The length fits, so it cannot fail.
        let _ = hex::encode_to_slice(&count[count.len() - COUNT_LEN..], &mut id[2 * RUN_LEN + 1..]);
        RequestId(id)
    }
}

/// Notes a request, whatever becomes of it, and completes the answer: one layer for both, because each
/// layer costs every request about a microsecond.
pub(in crate::http) async fn observe(
    State((observer, rows)): State<(Arc<Observer>, Rows)>,
    request: Request,
    next: Next,
) -> Response {
    let record = observer.begin(Kind::of(request.method(), rows), Reading::now());
    let mut response = next.run(request).instrument(record.span()).await;
    record.answered(&mut response);
    response
}

/// A request that was begun. It goes without an answer when the client hangs up first.
pub(in crate::http) struct RequestRecord<'a> {
    id: RequestId,
    method: MethodName,
    route: &'a Counters,
    weight: LogWeight,
    began: Reading,
    is_answered: bool,
}

impl RequestRecord<'_> {
    /// What carries the id to the log lines inside a request. The many small requests have it only where
    /// their own line is logged too: it costs as much as they do.
    pub(in crate::http) fn span(&self) -> Span {
        match self.weight {
            LogWeight::Change => tracing::info_span!("request", id = self.id.as_str()),
            LogWeight::Use => tracing::debug_span!("request", id = self.id.as_str()),
        }
    }

    /// The request's name.
    pub(in crate::http) fn id(&self) -> &[u8] {
        &self.id.0
    }

    /// Notes the answer. Gives the time.
    pub(in crate::http) fn note(&mut self, status: StatusCode, refused: Option<RefusedBy>) -> Instant {
        self.is_answered = true;
        let now = Instant::now();
        let took = now - self.began.awake;
        self.route.answered(self.method, status, took);
        self.log(status, refused, took);
        now
    }

    /// Notes the answer, and completes it. Gives the time.
    pub(in crate::http) fn answered(mut self, response: &mut Response) -> Instant {
        let now = self.note(response.status(), response.extensions().get().copied());
        headers::complete(response);
        if let Ok(id) = HeaderValue::from_bytes(self.id()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        now
    }

    /// Refusals of the gate are for debugging: a hostile page could fill the log with them. They are
    /// counted, and audited.
    fn log(&self, status: StatusCode, refused: Option<RefusedBy>, took: Duration) {
        let (request, method, route) = (self.id.as_str(), self.method.as_str(), self.route.path());
        let (code, micros) = (status.as_u16(), took.as_micros() as u64);
        let failed = status.is_client_error() || status.is_server_error();
        match refused {
            Some(RefusedBy(rule)) => {
                let rule = rule.name();
                tracing::debug!(request, method, route, status = code, micros, rule, "refused");
            }
            None if failed || self.weight == LogWeight::Change => {
                tracing::info!(request, method, route, status = code, micros, "answered");
            }
            None => tracing::debug!(request, method, route, status = code, micros, "answered"),
        }
    }
}

impl Drop for RequestRecord<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.route.abandoned(self.method);
            let (request, method, route) = (self.id.as_str(), self.method.as_str(), self.route.path());
            let micros = self.began.awake.elapsed().as_micros() as u64;
            tracing::info!(request, method, route, micros, "abandoned");
        }
    }
}
