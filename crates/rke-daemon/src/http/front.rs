//! Where each request goes. Those that come by the thousand are answered here at once, all others through
//! axum's router, whose layers cost more than such a request does. The gate, what is noted, and the
//! handlers are the same for both.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{Method, Request, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::ServiceExt;
use tracing::Instrument;

use super::admission::Admission;
use super::caller::Caller;
use super::observe::Observer;
use super::patience::Patience;
use super::pipeline::Pipeline;
use super::query::Query;
use super::{Shared, answer_panic, handlers};

/// What belongs to the connection that a request came by.
pub(super) struct ForConnection {
    pub(super) caller: Caller,
    pub(super) patience: Patience,
    pub(super) pipeline: Pipeline,
}

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
        connection: &ForConnection,
    ) -> Result<Response, Infallible>
    where
        B: HttpBody<Data = axum::body::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(call) = Frequent::of(request.method(), request.uri()) {
            // Its body, if it has one, is not looked at.
            let answer = self.answer_frequent(call, request.map(drop), &connection.caller).await;
            connection.pipeline.answer_is_whole();
            return Ok(answer);
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.caller.clone());
        request.extensions_mut().insert(connection.patience.clone());
        self.router.clone().oneshot(request).await
    }

    async fn answer_frequent(&self, call: Frequent, request: Request<()>, caller: &Caller) -> Response {
        let seen = self.observer.begin(request.method(), Some(call.path()));
        let work = async {
            let mut judged = self.admission.judge(&request, Some(caller));
            let mut response = match judged.answer.take() {
                Some(answer) => answer,
                None => {
                    let answer = AssertUnwindSafe(self.call(call, Query::of(request.uri())));
                    answer.catch_unwind().await.unwrap_or_else(answer_panic)
                }
            };
            self.admission.complete(judged, &mut response);
            response
        };
        let mut response = work.instrument(seen.span()).await;
        seen.answered(&mut response);
        response
    }

    async fn call(&self, call: Frequent, query: Query) -> Response {
        self.sessions.drop_after_sleep().await;
        let sessions = State(Arc::clone(&self.sessions));
        match call {
            Frequent::Delete => handlers::delete(sessions, query).await.into_response(),
            Frequent::Encrypt => handlers::encrypt(sessions, query).await.into_response(),
            Frequent::Decrypt => handlers::decrypt(sessions, query).await.into_response(),
        }
    }
}

/// Requests that come by the thousand. All are GET.
#[derive(Clone, Copy)]
enum Frequent {
    Delete,
    Encrypt,
    Decrypt,
}

impl Frequent {
    fn of(method: &Method, uri: &Uri) -> Option<Self> {
        let all = [Self::Delete, Self::Encrypt, Self::Decrypt];
        all.into_iter().find(|call| method == Method::GET && uri.path() == call.path())
    }

    /// Where the router has it too, for other methods.
    fn path(self) -> &'static str {
        match self {
            Self::Delete => DELETE,
            Self::Encrypt => ENCRYPT,
            Self::Decrypt => DECRYPT,
        }
    }
}

pub(super) const DELETE: &str = "/api/rke/session/delete";
pub(super) const ENCRYPT: &str = "/api/rke/encrypt";
pub(super) const DECRYPT: &str = "/api/rke/decrypt";
