//! Where each request goes. Those that come by the thousand are answered at once, all others through
//! axum's router, whose layers cost more than such a request does. The gate, what is noted, and the
//! handlers are the same for both.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::ServiceExt;
use tracing::Instrument;

use super::admission::Admission;
use super::answer::json;
use super::caller::Caller;
use super::failure::Failure;
use super::head::Frequent;
use super::observe::Observer;
use super::outgoing::Outgoing;
use super::patience::Patience;
use super::query::Query;
use super::{Shared, answer_panic, handlers};

/// What answers requests.
pub struct Front {
    pub(super) router: Router,
    pub(super) sessions: Shared,
    pub(super) admission: Arc<Admission>,
    pub(super) observer: Arc<Observer>,
}

impl Front {
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

    /// Answers a frequent request. Says whether the connection goes on.
    pub(super) async fn answer_frequent(
        &self,
        call: Frequent,
        request: Request<Query>,
        caller: &Caller,
        outgoing: &mut Outgoing,
    ) -> bool {
        let mut seen = self.observer.begin(request.method(), Some(call.path()));
        let mut judged = self.admission.judge(&request, request.body(), Some(caller));
        let said = match judged.answer.take() {
            Some(answer) => Err(answer),
            None => self.say(call, request.into_body()).instrument(seen.span()).await,
        };
        let mut response = match said {
            Ok(written) if judged.is_for_no_page() => {
                seen.note(StatusCode::OK, None);
                outgoing.add_success(seen.id(), &written);
                return true;
            }
            Ok(written) => json(written),
            Err(response) => response,
        };
        self.admission.complete(judged, &mut response);
        seen.answered(&mut response);
        outgoing.add(response).await
    }

    /// What the handler says: the JSON of a success, or another answer.
    async fn say(&self, call: Frequent, query: Query) -> Result<Vec<u8>, Response> {
        let said = AssertUnwindSafe(self.call(call, query)).catch_unwind().await;
        said.map_err(answer_panic)?.map_err(IntoResponse::into_response)
    }

    async fn call(&self, call: Frequent, query: Query) -> Result<Vec<u8>, Failure> {
        self.sessions.drop_after_sleep().await;
        let sessions = State(Arc::clone(&self.sessions));
        match call {
            Frequent::Delete => handlers::delete(sessions, query).await.map(|deleted| deleted.to_json()),
            Frequent::Encrypt => {
                handlers::encrypt(sessions, query).await.map(|encrypted| encrypted.to_json())
            }
            Frequent::Decrypt => {
                handlers::decrypt(sessions, query).await.map(|decrypted| decrypted.to_json())
            }
        }
    }
}
