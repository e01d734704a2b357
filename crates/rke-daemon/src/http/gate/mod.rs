//! The gate in front of every handler. Listening on loopback does not keep web pages out: any page that the user
//! opens can send requests. So the gate judges what a request says about itself before any session is looked up.

mod bearer;
mod body;
pub(super) mod caller;
mod cors;
pub(super) mod crowd;
mod fetch;
mod header;
mod host;
pub(super) mod limits;
mod origin;
pub mod probe;
mod rate_limit;
mod refusals;
pub(super) mod request_head;
#[cfg(feature = "testing")]
pub mod testing;
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
use rke_engine::settings::access::{Access, CreationLimit, LoopbackOrigins, NullOrigin};

use self::caller::{Caller, Way};
use self::fetch::NamedOrigin;
use self::host::Host;
use self::origin::{Origin, OriginRules, Own};
use self::rate_limit::{Allowance, RateLimit};
pub use self::refusals::{LastRefusal, Refusals, Rule};
pub(super) use self::refusals::{Refusal, RefusedBy};
use self::request_head::{RequestHead, lines};
use super::message::query::Query;
pub use super::policy::Attempt;
use super::policy::{Audience, Cost, Policy, Rows};
use crate::token::Token;

/// How many receipts of deletions may be requested. Each receipt reads all of the daemon's memory.
const RECEIPTS: Allowance = Allowance { most: 20, every: Duration::from_millis(200) };

/// An invalid setting of the gate.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// A value that is not a host.
    #[error("--allow-host {0:?} is neither a host name nor an address; give it without scheme and port")]
    Host(String),
    /// A value that is not an origin.
    #[error(
        "--allow-origin {0:?} is not an origin; give scheme, host and port as in https://app.example:8443, \
         without a path (for pages whose origin is null there is --allow-null-origin)"
    )]
    Origin(String),
}

/// Everything that is needed to judge a request.
pub struct Admission {
    rules: ArcSwap<AdmissionRules>,
    token: Option<Token>,
    creations: RateLimit,
    receipts: RateLimit,
    refusals: Refusals,
    /// The pages that have sent requests.
    pages: Pages,
    journal: Arc<Journal>,
}

/// The names and web origins that may use the daemon.
pub(crate) struct AdmissionRules {
    hosts: Vec<Host<'static>>,
    origins: OriginRules,
    creations: Allowance,
    options: Options,
}

/// Whether options can let more hosts and pages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Options {
    Exist,
    None,
}

impl AdmissionRules {
    /// The rules of these settings.
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
            creations: access.creations.into(),
            options: Options::Exist,
        })
    }

    /// The rules of a node or a Content Server: its interfaces are for programs on its machine, and for no page.
    pub(crate) fn for_programs() -> Self {
        let (null, loopback) = (NullOrigin::Refused, LoopbackOrigins::Refused);
        let origins = OriginRules { listed: Vec::new(), null, loopback };
        Self {
            hosts: Vec::new(),
            origins,
            creations: CreationLimit::default().into(),
            options: Options::None,
        }
    }

    fn origin(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Result<Source, Refusal> {
        let way = caller.map_or(Way::Tcp, |caller| caller.way);
        let host = host::check(head, way, &self.hosts)?;
        let browser = match &host {
            Some(host) if way == Way::Tcp && !host.host.is_loopback() => Browser::Unnamed,
            _ => Browser::Named,
        };
        let own = host.and_then(|_| Own::of(head, way));
        Ok(Source { origin: self.origins.check(head, own)?, browser })
    }

    /// Judges a request to an interface over plain TCP whose errors have a form of their own. Returns the status and the
    /// message of a refusal.
    pub(crate) fn judge<B>(&self, request: &Request<B>) -> Result<(), (StatusCode, String)> {
        let (query, headers) = (Query::of(request.uri()), lines(request.headers()));
        let head = RequestHead::of(request, Rows::NONE, &query, &headers);
        let judged = limits::check(&head)
            .and_then(|()| self.origin(&head, None))
            .and_then(|source| fetch::check(&head, source.named()));
        judged.map_err(|refusal| {
            let failure = self.explain(refusal).failure;
            (failure.status(), failure.into_message())
        })
    }

    /// What this program says about tokens. A node or a Content Server has options for no pages, and of these only a Content
    /// Server has a token.
    fn token_texts(&self) -> bearer::Texts {
        match self.options {
            Options::Exist => bearer::OF_DAEMON,
            Options::None => bearer::OF_CONTENT_SERVER,
        }
    }

    /// The same refusal, without the name of an option that does not exist.
    fn explain(&self, refusal: Refusal) -> Refusal {
        let message = match (self.options, refusal.rule, refusal.failure.status()) {
            (Options::None, Rule::Host, StatusCode::MISDIRECTED_REQUEST) => {
                "This interface is for programs on this machine: the request's Host must be localhost, 127.0.0.1 or [::1]"
            }
            (Options::None, Rule::Origin | Rule::Fetch, _) => "Web pages may not use this interface",
            _ => return refusal,
        };
        Refusal::new(refusal.rule, refusal.failure.status(), message)
    }
}

impl Admission {
    /// A gate with these rules, and with the token if one is required.
    pub(crate) fn new(rules: AdmissionRules, token: Option<Token>, journal: Arc<Journal>) -> Self {
        Self {
            creations: RateLimit::new(rules.creations),
            rules: ArcSwap::from_pointee(rules),
            token,
            receipts: RateLimit::new(RECEIPTS),
            refusals: Refusals::default(),
            pages: Pages::default(),
            journal,
        }
    }

    /// The requests that were rejected so far.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Replaces the rules.
    pub(crate) fn set_rules(&self, rules: AdmissionRules) {
        self.creations.set(rules.creations);
        self.rules.store(Arc::new(rules));
    }

    fn note(&self, rule: Rule, origin: Option<&HeaderValue>, attempt: Attempt) {
        self.refusals.add(rule, origin, attempt);
        self.journal.request_refused(rule.name());
    }

    /// Checks size, then `Host`, then `Origin`. A page that fails here gets no permission to read the response.
    fn origin(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Result<Source, Refusal> {
        limits::check(head)?;
        let rules = self.rules.load();
        rules.origin(head, caller).map_err(|refusal| rules.explain(refusal))
    }

    /// Checks what comes after the preflight: `Sec-Fetch-*`, token, rate. The method is left to the routes: a
    /// request with a wrong one does nothing and uses up nothing.
    fn admit(&self, head: &RequestHead<'_>, caller: Option<&Caller>, source: &Source) -> Result<(), Refusal> {
        let origin = source.origin.as_ref();
        let Policy { audience, cost, .. } = head.policy;
        if audience == Audience::Applications {
            let explain = |refusal| self.rules.load().explain(refusal);
            fetch::check(head, source.named()).map_err(explain)?;
        }
        match self.token.as_ref().filter(|_| audience != Audience::Everybody) {
            Some(token) => {
                bearer::check(head, token, || self.rules.load().token_texts())?;
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
            Cost::Creation => (
                &self.creations,
                Rule::SessionRate,
                "Too many sessions are being opened; try again a little later",
            ),
            Cost::ReceiptIfVerified if query.flag("verify").ok() != Some(true) => return Ok(()),
            Cost::ReceiptIfVerified => (
                &self.receipts,
                Rule::ReceiptRate,
                "Too many deletions with verify=true; nothing was deleted: delete without verify, or try again later",
            ),
        };
        limit.take(user, Moment::now()).map_err(|wait| Refusal::too_often(rule, message, wait))
    }
}

/// The source of a request.
struct Source {
    /// The page's origin, if the request names one and it has passed.
    origin: Option<HeaderValue>,
    browser: Browser,
}

impl Source {
    fn named(&self) -> NamedOrigin {
        if self.origin.is_some() { NamedOrigin::Passed } else { NamedOrigin::None }
    }
}

/// Whether a browser would have identified itself as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    /// A browser sends `Sec-Fetch-*` with every request to a host that it trusts.
    Named,
    /// To another host over plain HTTP, a browser sends no `Sec-Fetch-*` and, for an image for example, no
    /// `Origin`.
    Unnamed,
}

/// The gate's decision on a request.
pub(super) struct Decision {
    /// The response, if the request may not pass. Boxed, because few requests have one but all decisions are moved.
    pub(super) response: Option<Box<Response>>,
    /// The origin of the page that may read the response.
    origin: Option<HeaderValue>,
    policy: Policy,
    brings_stream: bool,
    /// Whether the connection has to close to make room.
    is_to_leave: bool,
}

impl Decision {
    /// Whether no page waits for the response. Then [`Admission::complete`] adds nothing to a success.
    pub(super) fn is_for_no_page(&self) -> bool {
        self.origin.is_none()
    }
}

impl Admission {
    /// Decides whether a request may pass.
    pub(super) fn decide(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Decision {
        let mut decision = self.decision_on(head, caller);
        let wants_token = self.token.is_some();
        decision.is_to_leave = wants_token && caller.is_some_and(|caller| caller.place.is_to_leave());
        decision
    }

    fn decision_on(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Decision {
        let mut decision = Decision {
            response: None,
            origin: None,
            policy: head.policy,
            brings_stream: limits::brings_stream(head),
            is_to_leave: false,
        };
        let source = match self.origin(head, caller) {
            Ok(source) => source,
            Err(refusal) => {
                self.refuse(&mut decision, head, refusal);
                return decision;
            }
        };
        if source.origin.is_some() && cors::is_preflight(head) {
            decision.response = Some(cors::preflight_answer(head).into());
        } else if let Err(refusal) = self.admit(head, caller, &source) {
            self.refuse(&mut decision, head, refusal);
        }
        decision.origin = source.origin;
        decision
    }

    fn refuse(&self, decision: &mut Decision, head: &RequestHead<'_>, refusal: Refusal) {
        if !probe::is_one(head, refusal.rule) {
            // Only here, because most requests are not refused and have neither header.
            let page = origin::named(head).and_then(|origin| HeaderValue::from_bytes(origin).ok());
            self.note(refusal.rule, page.as_ref(), head.policy.attempt);
        }
        let mut response = refusal.failure.into_response();
        response.extensions_mut().insert(RefusedBy(refusal.rule));
        decision.response = Some(response.into());
    }

    /// Completes the response to a request after the decision, on either path.
    pub(super) fn complete(&self, decision: Decision, response: &mut Response) {
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            self.note(Rule::Method, decision.origin.as_ref(), decision.policy.attempt);
        }
        if decision.is_to_leave {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if decision.brings_stream && response.status().is_client_error() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = decision.origin {
            cors::let_read(response, origin);
        }
    }
}

/// Decides on a request, and passes it on if it is admitted.
pub(super) async fn check(
    State((admission, rows)): State<(Arc<Admission>, Rows)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (mut decision, viewer) = {
        let (query, headers) = (Query::of(request.uri()), lines(request.headers()));
        let (head, caller) = (RequestHead::of(&request, rows, &query, &headers), request.extensions().get());
        let decision = admission.decide(&head, caller);
        let viewer = decision.response.is_none().then(|| admission.viewer(&head, caller));
        (decision, viewer)
    };
    if let Some(viewer) = viewer {
        request.extensions_mut().insert(viewer);
    }
    let mut response = match decision.response.take() {
        Some(response) => *response,
        None => match body::check(request, decision.policy.body).await {
            Ok(request) => next.run(request).await,
            Err(failure) => failure.into_response(),
        },
    };
    admission.complete(decision, &mut response);
    response
}

#[cfg(test)]
mod tests;
