//! Where each request goes. Those that come by the thousand are answered at once, all others through
//! axum's router, whose layers cost more than such a request does. The gate, what is noted, and the
//! handlers are the same for both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use rke_engine::model::clock::{Moment, Reading};
use rke_engine::settings::FastPath;
use tower::ServiceExt;

use super::fast_path::Frequent;
use crate::http::api::answer::json_written;
use crate::http::api::failure::{Failure, answer_panic};
use crate::http::api::query::Query;
use crate::http::api::{Shared, handlers};
use crate::http::gate::Admission;
use crate::http::gate::caller::Caller;
use crate::http::gate::request_head::RequestHead;
use crate::http::routes::Rows;
use crate::http::telemetry::observe::{Kind, Observer};
use crate::http::wire::body_timeout::BodyTimeout;
use crate::http::wire::outgoing::Outgoing;

/// What answers requests.
pub struct Dispatcher {
    router: Router,
    pub(in crate::http) sessions: Shared,
    admission: Arc<Admission>,
    observer: Arc<Observer>,
    /// Whether it is to be asked for frequent requests.
    pub(in crate::http) fast_path: FastPath,
    /// What frequent requests are noted as, by the number of the call.
    kinds: [Kind; Frequent::ALL.len()],
}

impl Dispatcher {
    pub(in crate::http) fn new(
        router: Router,
        sessions: Shared,
        admission: Arc<Admission>,
        observer: Arc<Observer>,
    ) -> Self {
        let kinds = Frequent::ALL.map(|call| Kind::of(&Method::GET, Rows::beside(call.row())));
        let fast_path = sessions.fixed().fast_path;
        Self { router, sessions, admission, observer, fast_path, kinds }
    }

    /// The answer to a request.
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

    /// Answers a frequent request. `None` where that may take longer than an answer does: the router's way does
    /// the same and may wait.
    pub(in crate::http) fn answer_frequent(
        &self,
        call: Frequent,
        head: &RequestHead<'_>,
        caller: &Caller,
        outgoing: &mut Outgoing,
    ) -> Option<Answered> {
        let began = Reading::now();
        if self.sessions.has_slept(&began) {
            return None;
        }
        let mut record = self.observer.begin(self.kinds[call as usize], began);
        let mut judged = self.admission.judge(head, Some(caller));
        let said = match judged.answer.take() {
            Some(answer) => Err(answer),
            None => record.span().in_scope(|| self.say(call, began.moment, head.query, outgoing.body())),
        };
        let mut response = match said {
            Ok(()) if judged.is_for_no_page() => {
                let at = record.note(StatusCode::OK, None);
                outgoing.add_success(began.moment, record.id());
                return Some(Answered { goes_on: true, at });
            }
            Ok(()) => json_written(outgoing.take_body()),
            Err(response) => *response,
        };
        self.admission.complete(judged, &mut response);
        let at = record.answered(&mut response);
        Some(Answered { goes_on: outgoing.add(began.moment, response), at })
    }

    /// Writes what the handler says, where it is a success; gives any other answer.
    fn say(
        &self,
        call: Frequent,
        now: Moment,
        query: &Query<'_>,
        json: &mut Vec<u8>,
    ) -> Result<(), Box<Response>> {
        let said = catch_unwind(AssertUnwindSafe(|| self.call(call, now, query, json)));
        said.map_err(answer_panic)?.map_err(|failure| Box::new(failure.into_response()))
    }

    fn call(
        &self,
        call: Frequent,
        now: Moment,
        query: &Query<'_>,
        json: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let sessions = &self.sessions;
        match call {
            Frequent::Delete => handlers::delete_only(sessions, now, query)?.write_json(json),
            Frequent::Encrypt => handlers::encrypt_sent(sessions, now, query)?.write_json(json),
            Frequent::Decrypt => handlers::decrypt_sent(sessions, now, query)?.write_json(json),
        }
        Ok(())
    }
}

/// What came of a frequent request.
pub(in crate::http) struct Answered {
    /// Whether the connection goes on.
    pub(in crate::http) goes_on: bool,
    /// When.
    pub(in crate::http) at: Instant,
}
