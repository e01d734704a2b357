//! Decides where each request goes. Frequent requests are served at once. All others go through axum's router,
//! whose layers cost more than a frequent request does. Both paths share the gate, the observer and the handlers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use rke_engine::model::clock::{Moment, Reading};
use rke_engine::model::session_id::SessionId;
use rke_engine::settings::FastPath;
use rke_engine::store::KeyUse;
use tower::ServiceExt;

use super::fast_path::Frequent;
use crate::http::api::answer::json_written;
use crate::http::api::bodies::{Decryption, Encryption};
use crate::http::api::{Shared, deletion};
use crate::http::gate::Admission;
use crate::http::gate::caller::Caller;
use crate::http::gate::request_head::RequestHead;
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::{Failure, answer_panic};
use crate::http::message::outgoing::Outgoing;
use crate::http::message::query::Query;
use crate::http::routes;
use crate::http::telemetry::observe::{Kind, Observer};

/// Serves requests.
pub struct Dispatcher {
    router: Router,
    /// The daemon's sessions. A Content Server has none.
    pub(in crate::http) sessions: Option<Shared>,
    admission: Arc<Admission>,
    pub(in crate::http) observer: Arc<Observer>,
    /// Whether frequent requests take the fast path.
    pub(in crate::http) fast_path: FastPath,
    /// The kind under which each frequent request is recorded, by the number of the call.
    kinds: [Kind; Frequent::ALL.len()],
}

impl Dispatcher {
    pub(in crate::http) fn new(
        router: Router,
        sessions: Option<Shared>,
        admission: Arc<Admission>,
        observer: Arc<Observer>,
    ) -> Self {
        let kinds = Frequent::ALL.map(|call| Kind::of(&Method::GET, routes::beside(call.row())));
        let fast_path = sessions.as_ref().map_or(FastPath::Off, |sessions| sessions.fixed().fast_path);
        Self { router, sessions, admission, observer, fast_path, kinds }
    }

    /// The response to a request.
    pub(in crate::http) async fn answer<B>(
        &self,
        request: Request<B>,
        caller: &Caller,
        body_timeout: &BodyTimeout,
    ) -> Response
    where
        B: HttpBody<Data = axum::body::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(body_timeout.clone());
        let Ok(answer) = self.router.clone().oneshot(request).await;
        answer
    }

    /// Serves a frequent request. `None` if that may take longer than usual: the router does the same, and may
    /// wait.
    pub(in crate::http) fn answer_frequent(
        &self,
        call: Frequent,
        head: &RequestHead<'_>,
        caller: &Caller,
        outgoing: &mut Outgoing,
    ) -> Option<Answered> {
        let began = Reading::now();
        let sessions = self.sessions.as_ref()?;
        if sessions.has_slept(&began) || (sessions.are_shared() && !is_at_hand(sessions, call, head, began)) {
            return None;
        }
        let mut record = self.observer.begin(self.kinds[call as usize], began);
        let mut decision = self.admission.decide(head, Some(caller));
        let said = match decision.response.take() {
            Some(answer) => Err(answer),
            None => {
                let run = || run_handler(sessions, call, began.moment, head.query, outgoing.body());
                record.span().in_scope(run)
            }
        };
        let mut response = match said {
            Ok(()) if decision.is_for_no_page() => {
                let at = record.note(StatusCode::OK, None);
                outgoing.add_success(began.moment, record.id());
                return Some(Answered { goes_on: true, at });
            }
            Ok(()) => json_written(outgoing.take_body()),
            Err(response) => *response,
        };
        self.admission.complete(decision, &mut response);
        let at = record.answered(&mut response);
        Some(Answered { goes_on: outgoing.add(began.moment, response), at })
    }
}

/// Whether a request needs nothing but a key that is here, where other machines share the sessions.
#[cold]
fn is_at_hand(sessions: &Shared, call: Frequent, head: &RequestHead<'_>, began: Reading) -> bool {
    let id = head.query.required("session_id").ok().and_then(|id| SessionId::parse(&id));
    let key_use = match call {
        Frequent::Delete => None,
        // Base64 is longer than what it encodes.
        Frequent::Encrypt => head.query.required("plaintext").ok().map(|data| KeyUse::Encrypt(data.len())),
        Frequent::Decrypt => Some(KeyUse::Decrypt),
    };
    id.zip(key_use).is_some_and(|(id, key_use)| sessions.is_at_hand(id, key_use, began.moment))
}

/// Writes the JSON if the handler succeeds. Returns any other response.
fn run_handler(
    sessions: &Shared,
    call: Frequent,
    now: Moment,
    query: &Query<'_>,
    json: &mut Vec<u8>,
) -> Result<(), Box<Response>> {
    let said = catch_unwind(AssertUnwindSafe(|| run_call(sessions, call, now, query, json)));
    said.map_err(answer_panic)?.map_err(|failure| Box::new(failure.into_response()))
}

fn run_call(
    sessions: &Shared,
    call: Frequent,
    now: Moment,
    query: &Query<'_>,
    json: &mut Vec<u8>,
) -> Result<(), Failure> {
    match call {
        Frequent::Delete => {
            deletion::end(sessions, now, query.required("session_id")?)?.write_json(json);
        }
        Frequent::Encrypt => Encryption::of_query(query)?.run(sessions, now)?.write_json(json),
        Frequent::Decrypt => Decryption::of_query(query)?.run(sessions, now)?.write_json(json),
    }
    Ok(())
}

/// The result of a frequent request.
pub(in crate::http) struct Answered {
    /// Whether the connection continues.
    pub(in crate::http) goes_on: bool,
    /// When the response was ready.
    pub(in crate::http) at: Instant,
}
