//! The gate in front of every handler. Loopback is no wall: each page that the user opens can send
//! requests here, so what a request says about itself is judged before any session is looked up.

mod attempt;
mod bearer;
pub(super) mod caller;
mod cors;
pub(super) mod crowd;
mod fetch;
mod header;
mod host;
pub(super) mod limits;
mod origin;
mod rate_limit;
mod refusals;
pub(super) mod request_head;
mod viewer;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rke_engine::journal::Journal;
use rke_engine::model::clock::Moment;
use rke_engine::model::viewer::Pages;
use rke_engine::settings::access::Access;

pub use self::attempt::Attempt;
use self::caller::{Caller, Way};
use self::fetch::NamedOrigin;
use self::host::Host;
use self::origin::{Origin, OriginRules, Own};
use self::rate_limit::RateLimit;
pub use self::refusals::{LastRefusal, Refusals, Rule};
pub(super) use self::refusals::{Refusal, RefusedBy};
use self::request_head::{RequestHead, lines};
use super::api::query::Query;
use super::routes::{Audience, Cost, Policy, Rows};
use crate::token::Token;

/// Session creations at once, and how long it takes until one more is possible. No honest script
/// meets this.
const CREATIONS: (u32, Duration) = (200, Duration::from_millis(20));

/// The same for receipts of deletions, each of which reads all of the daemon's memory.
const RECEIPTS: (u32, Duration) = (20, Duration::from_millis(200));

/// A setting of the gate that cannot be what it should.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// Not a host.
    #[error("--allow-host {0:?} is neither a host name nor an address; give it without scheme and port")]
    Host(String),
    /// Not an origin.
    #[error(
        "--allow-origin {0:?} is not an origin; give scheme, host and port as in https://app.example:8443, \
         without a path (for pages whose origin is null there is --allow-null-origin)"
    )]
    Origin(String),
}

/// What is needed to judge a request.
pub struct Admission {
    rules: ArcSwap<Rules>,
    token: Option<Token>,
    creations: RateLimit,
    receipts: RateLimit,
    refusals: Refusals,
    /// Those that have asked.
    pages: Pages,
    journal: Arc<Journal>,
}

/// The names and web origins that are let in.
pub(crate) struct Rules {
    hosts: Vec<Host<'static>>,
    origins: OriginRules,
}

impl Rules {
    /// As the settings say.
    pub(crate) fn new(access: &Access) -> Result<Self, AdmissionError> {
        let host = |text: &String| {
            Host::parse(text).map(Host::into_owned).ok_or_else(|| AdmissionError::Host(text.clone()))
        };
        let origin = |text: &String| {
            Origin::parse(text).map(Origin::into_owned).ok_or_else(|| AdmissionError::Origin(text.clone()))
        };
        Ok(Self {
            hosts: access.allow_hosts.iter().map(host).collect::<Result<_, _>>()?,
            origins: OriginRules {
                listed: access.allow_origins.iter().map(origin).collect::<Result<_, _>>()?,
                null: access.null_origin,
                loopback: access.loopback_origins,
            },
        })
    }
}

impl Admission {
    /// The gate with these rules, and the token where one is wanted.
    pub(crate) fn new(rules: Rules, token: Option<Token>, journal: Arc<Journal>) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            token,
            creations: RateLimit::new(CREATIONS.0, CREATIONS.1),
            receipts: RateLimit::new(RECEIPTS.0, RECEIPTS.1),
            refusals: Refusals::default(),
            pages: Pages::default(),
            journal,
        }
    }

    /// What has been refused so far.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Goes on by other rules.
    pub(crate) fn set_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    fn note(&self, rule: Rule, origin: Option<&HeaderValue>, attempt: Attempt) {
        self.refusals.add(rule, origin, attempt);
        self.journal.request_refused(rule.name());
    }

    /// Size, then `Host`, then `Origin`. Whoever fails here gets no leave to read the answer.
    fn origin(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Result<Source, Refusal> {
        limits::check(head)?;
        let rules = self.rules.load();
        let way = caller.map_or(Way::Tcp, |caller| caller.way);
        let host = host::check(head, way, &rules.hosts)?;
        let browser = match &host {
            Some(host) if way == Way::Tcp && !host.host.is_loopback() => Browser::Unnamed,
            _ => Browser::Named,
        };
        let own = host.and_then(|_| Own::of(head, way));
        Ok(Source { origin: rules.origins.check(head, own)?, browser })
    }

    /// What comes after the preflight: `Sec-Fetch-*`, token, rate. The method is left to the routes;
    /// requests with a wrong one do nothing and use up nothing.
    fn admit(&self, head: &RequestHead<'_>, caller: Option<&Caller>, source: &Source) -> Result<(), Refusal> {
        let origin = source.origin.as_ref();
        let named = if origin.is_some() { NamedOrigin::Passed } else { NamedOrigin::None };
        let Policy { audience, cost, .. } = head.policy;
        if audience == Audience::Applications {
            fetch::check(head, named)?;
        }
        match self.token.as_ref().filter(|_| audience != Audience::Everybody) {
            Some(token) => {
                bearer::check(head, token)?;
                caller.inspect(|caller| caller.place.has_shown_token());
            }
            None if source.browser == Browser::Unnamed => header::check(head)?,
            None => (),
        }
        let peer = caller.map_or("unknown", |caller| caller.peer.as_str());
        let user = origin.and_then(|origin| origin.to_str().ok()).unwrap_or(peer);
        self.take(cost, head.query, user)
    }

    fn take(&self, cost: Cost, query: &Query<'_>, user: &str) -> Result<(), Refusal> {
        let (limit, rule, message) = match cost {
            Cost::Free => return Ok(()),
            Cost::Creation => {
                (&self.creations, Rule::SessionRate, "Too many sessions are opened; try again a little later")
            }
            Cost::ReceiptIfVerified if query.flag("verify").ok() != Some(true) => return Ok(()),
            Cost::ReceiptIfVerified => (
                &self.receipts,
                Rule::ReceiptRate,
                "Too many deletions with verify=true; nothing was deleted, and without verify it can be at once",
            ),
        };
        limit.take(user, Moment::now()).map_err(|wait| Refusal::too_often(rule, message, wait))
    }
}

/// Where a request has come from.
struct Source {
    /// The page, where it has named itself, and has passed.
    origin: Option<HeaderValue>,
    browser: Browser,
}

/// Whether a browser would have said that it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    /// To hosts that it trusts it sends `Sec-Fetch-*` with everything.
    Named,
    /// To a name over plain HTTP it sends neither that nor, for an image say, an `Origin`.
    Unnamed,
}

/// What the gate says of a request.
pub(super) struct Judged {
    /// Its answer, where it may not pass: boxed, because hardly any has one and all are moved.
    pub(super) answer: Option<Box<Response>>,
    /// The origin of the page that may read the answer.
    origin: Option<HeaderValue>,
    policy: Policy,
    brings_stream: bool,
    /// Whether the connection has to make room.
    is_to_leave: bool,
}

impl Judged {
    /// Whether no page waits for the answer: then [`Admission::complete`] adds nothing to a success.
    pub(super) fn is_for_no_page(&self) -> bool {
        self.origin.is_none()
    }
}

impl Admission {
    /// Judges a request.
    pub(super) fn judge(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Judged {
        let mut judged = self.judge_request(head, caller);
        let wants_token = self.token.is_some();
        judged.is_to_leave = wants_token && caller.is_some_and(|caller| caller.place.is_to_leave());
        judged
    }

    fn judge_request(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Judged {
        let mut judged = Judged {
            answer: None,
            origin: None,
            policy: head.policy,
            brings_stream: limits::brings_stream(head),
            is_to_leave: false,
        };
        let source = match self.origin(head, caller) {
            Ok(source) => source,
            Err(refusal) => {
                self.refuse(&mut judged, head, refusal);
                return judged;
            }
        };
        if source.origin.is_some() && cors::is_preflight(head) {
            judged.answer = Some(cors::preflight_answer(head).into());
        } else if let Err(refusal) = self.admit(head, caller, &source) {
            self.refuse(&mut judged, head, refusal);
        }
        judged.origin = source.origin;
        judged
    }

    fn refuse(&self, judged: &mut Judged, head: &RequestHead<'_>, refusal: Refusal) {
        // Only here: most requests are not refused, and come without both headers.
        let page = origin::named(head).and_then(|origin| HeaderValue::from_bytes(origin).ok());
        self.note(refusal.rule, page.as_ref(), head.policy.attempt);
        let mut answer = refusal.failure.into_response();
        answer.extensions_mut().insert(RefusedBy(refusal.rule));
        judged.answer = Some(answer.into());
    }

    /// Completes the answer to a request that was judged, whoever has given it.
    pub(super) fn complete(&self, judged: Judged, response: &mut Response) {
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            self.note(Rule::Method, judged.origin.as_ref(), judged.policy.attempt);
        }
        if judged.is_to_leave {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if judged.brings_stream && response.status().is_client_error() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = judged.origin {
            cors::let_read(response, origin);
        }
    }
}

/// Judges a request, and hands it on if it may pass.
pub(super) async fn check(
    State((admission, rows)): State<(Arc<Admission>, Rows)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (mut judged, viewer) = {
        let (query, headers) = (Query::of(request.uri()), lines(request.headers()));
        let (head, caller) = (RequestHead::of(&request, rows, &query, &headers), request.extensions().get());
        let judged = admission.judge(&head, caller);
        let viewer = judged.answer.is_none().then(|| admission.viewer(&head, caller));
        (judged, viewer)
    };
    if let Some(viewer) = viewer {
        request.extensions_mut().insert(viewer);
    }
    let mut response = match judged.answer.take() {
        Some(answer) => *answer,
        None => match limits::read_small(request, judged.policy.body).await {
            Ok(request) => next.run(request).await,
            Err(failure) => failure.into_response(),
        },
    };
    admission.complete(judged, &mut response);
    response
}
