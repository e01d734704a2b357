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
use tower::ServiceExt;

use super::admission::Admission;
use super::answer::json_written;
use super::asked::Asked;
use super::caller::Caller;
use super::failure::Failure;
use super::head::Frequent;
use super::observe::{Kind, Observer};
use super::outgoing::Outgoing;
use super::patience::Patience;
use super::query::Query;
use super::routes::Rows;
use super::{Shared, answer_panic, handlers};

/// What answers requests.
pub struct Front {
    router: Router,
    pub(super) sessions: Shared,
    admission: Arc<Admission>,
    observer: Arc<Observer>,
    /// What frequent requests are noted as, by the number of the call.
    kinds: [Kind; Frequent::ALL.len()],
}

impl Front {
    pub(super) fn new(
        router: Router,
        sessions: Shared,
        admission: Arc<Admission>,
        observer: Arc<Observer>,
    ) -> Self {
        let kinds = Frequent::ALL.map(|call| Kind::of(&Method::GET, Rows::beside(call.row())));
        Self { router, sessions, admission, observer, kinds }
    }

    /// The answer to a request.
    pub(super) async fn answer<B>(
        &self,
        request: Request<B>,
        caller: &Caller,
        patience: &Patience,
    ) -> Response
    where
        B: HttpBody<Data = axum::body::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(patience.clone());
        let Ok(answer) = self.router.clone().oneshot(request).await;
        answer
    }

    /// Answers a frequent request. `None` where that may take longer than an answer does: the router's way does
    /// the same and may wait.
    pub(super) fn answer_frequent(
        &self,
        call: Frequent,
        asked: &Asked<'_>,
        caller: &Caller,
        outgoing: &mut Outgoing,
    ) -> Option<Answered> {
        let began = Reading::now();
        if self.sessions.has_slept(&began) {
            return None;
        }
        let mut seen = self.observer.begin(self.kinds[call as usize], began);
        let mut judged = self.admission.judge(asked, Some(caller));
        let said = match judged.answer.take() {
            Some(answer) => Err(answer),
            None => seen.span().in_scope(|| self.say(call, began.moment, asked.query, outgoing.body())),
        };
        let mut response = match said {
            Ok(()) if judged.is_for_no_page() => {
                let at = seen.note(StatusCode::OK, None);
                outgoing.add_success(began.moment, seen.id());
                return Some(Answered { goes_on: true, at });
            }
            Ok(()) => json_written(outgoing.take_body()),
            Err(response) => *response,
        };
        self.admission.complete(judged, &mut response);
        let at = seen.answered(&mut response);
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
pub(super) struct Answered {
    /// Whether the connection goes on.
    pub(super) goes_on: bool,
    /// When.
    pub(super) at: Instant,
}
