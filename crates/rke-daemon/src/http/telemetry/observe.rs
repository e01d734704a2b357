//! Records every request: an id for its response and its log lines, one line in the log, and its counters. Of the
//! request itself only the method and the matched route are kept, because a path or a query may contain a session's
//! id.

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
use crate::http::message::headers;
use crate::http::policy::{LogWeight, Rows};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Records requests.
pub(in crate::http) struct Observer {
    traffic: Arc<Traffic>,
    /// An id with the part that identifies this run of the daemon. The part that counts requests is still empty.
    run: [u8; ID_LEN],
    next: AtomicU64,
}

/// The bytes of an id that identify the run, and the bytes that count its requests.
const RUN_LEN: usize = 4;
const COUNT_LEN: usize = 5;
const ID_LEN: usize = 2 * RUN_LEN + 1 + 2 * COUNT_LEN;

/// The id of a request, in hex. It is made without an allocation, because each request needs one.
pub(in crate::http) struct RequestId([u8; ID_LEN]);

impl RequestId {
    pub(in crate::http) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The properties that all requests of the same method and path share. For frequent requests they are looked up
/// once.
#[derive(Clone, Copy)]
pub(in crate::http) struct Kind {
    method: MethodName,
    rows: Rows,
    weight: LogWeight,
}

impl Kind {
    /// The kind of requests with this method to the path of these rows.
    pub(in crate::http) fn of(method: &Method, rows: Rows) -> Self {
        Self { method: MethodName::of(method), rows, weight: rows.policy(method).weight }
    }
}

impl Observer {
    pub(in crate::http) fn new(traffic: Arc<Traffic>) -> Self {
        let (mut bytes, mut run) = ([0; RUN_LEN], [b'-'; ID_LEN]);
        // Without random bytes, ids of two runs may be the same. That affects only a search in the log.
        let _ = getrandom::fill(&mut bytes);
        // The length fits, so it cannot fail.
        let _ = hex::encode_to_slice(bytes, &mut run[..2 * RUN_LEN]);
        Self { traffic, run, next: AtomicU64::new(1) }
    }

    /// Records the arrival of a request. A client's own `X-Request-Id` is ignored: a client that chooses ids could
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

    /// Notes a request that cannot be read to its end, and is answered with this status. Gives its name. The line is for
    /// debugging: every program on the machine can send such bytes, and could fill the log.
    pub(in crate::http) fn unreadable(&self, status: StatusCode) -> RequestId {
        let id = self.next_id();
        tracing::debug!(request = id.as_str(), status = status.as_u16(), "unreadable");
        id
    }

    fn next_id(&self) -> RequestId {
        let (mut id, count) = (self.run, self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        // The length fits, so it cannot fail.
        let _ = hex::encode_to_slice(&count[count.len() - COUNT_LEN..], &mut id[2 * RUN_LEN + 1..]);
        RequestId(id)
    }
}

/// Records a request, whatever its outcome, and completes the response. One layer does both, because each layer
/// costs every request about a microsecond.
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

/// A request in progress. It has no response if the client hangs up first.
pub(in crate::http) struct RequestRecord<'a> {
    id: RequestId,
    method: MethodName,
    route: &'a Counters,
    weight: LogWeight,
    began: Reading,
    is_answered: bool,
}

impl RequestRecord<'_> {
    /// The span that adds the id to log lines inside a request. Small requests ([`LogWeight::Use`]) have it only if
    /// their own line is logged too, because it costs as much as they do.
    pub(in crate::http) fn span(&self) -> Span {
        match self.weight {
            LogWeight::Change => tracing::info_span!("request", id = self.id.as_str()),
            LogWeight::Use => tracing::debug_span!("request", id = self.id.as_str()),
        }
    }

    /// The request's id.
    pub(in crate::http) fn id(&self) -> &[u8] {
        &self.id.0
    }

    /// Records the response. Returns the current time.
    pub(in crate::http) fn note(&mut self, status: StatusCode, refused: Option<RefusedBy>) -> Instant {
        self.is_answered = true;
        let now = Instant::now();
        let took = now - self.began.awake;
        self.route.answered(self.method, status, took);
        self.log(status, refused, took);
        now
    }

    /// Records the response and completes it. Returns the current time.
    pub(in crate::http) fn answered(mut self, response: &mut Response) -> Instant {
        let now = self.note(response.status(), response.extensions().get().copied());
        headers::complete(response);
        if let Ok(id) = HeaderValue::from_bytes(self.id()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        now
    }

    /// Logs a response. Refusals by the gate are logged only for debugging, because a hostile page could fill the
    /// log with them. They are counted and audited.
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
