//! The HTTP API: routes, parameters, answers. `docs/api.md` is its description; every path stands
//! in one table, in `routes`. A request comes over the `wire`, passes the `gate`, and is answered by the `api`; those
//! that come by the thousand take the `fast` way there. `telemetry` notes all of them.

mod api;
pub mod fast;
pub mod gate;
mod openapi;
pub(crate) mod routes;
pub mod telemetry;
pub mod wire;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use jiff::Timestamp;
use rke_engine::model::clock::Reading;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use self::api::failure::answer_panic;
use self::api::state::{Api, Parts};
use self::api::{Shared, health, metrics};
use self::fast::dispatcher::Dispatcher;
use self::gate::Admission;
use self::routes::Rows;
use self::telemetry::observe::{self, Observer};
use self::telemetry::traffic::Traffic;

/// The whole API over `sessions`, behind its gate, until `stopped`.
pub fn dispatcher(
    sessions: Shared,
    admission: Arc<Admission>,
    traffic: Arc<Traffic>,
    stopped: watch::Receiver<bool>,
) -> Dispatcher {
    let observer = Arc::new(Observer::new(Arc::clone(&traffic)));
    let api = Api::new(Parts {
        metrics: metrics::Sources {
            sessions: Arc::clone(&sessions),
            admission: Arc::clone(&admission),
            traffic,
            started: Timestamp::now(),
        },
        health: health::Sources { sessions: Arc::clone(&sessions), stopped },
    });
    let awake = from_fn_with_state(Arc::clone(&sessions), drop_after_sleep);
    let guarded =
        |rows, methods: MethodRouter| guarded(rows, methods.layer(awake.clone()), &admission, &observer);
    let router = routes::router(&api, guarded);
    Dispatcher::new(router, sessions, admission, observer)
}

/// What every request to the path of these rows goes through, from the last of these lines to the first.
fn guarded(
    rows: Rows,
    methods: MethodRouter,
    admission: &Arc<Admission>,
    observer: &Arc<Observer>,
) -> MethodRouter {
    methods
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state((Arc::clone(admission), rows), gate::check))
        .layer(from_fn_with_state((Arc::clone(observer), rows), observe::observe))
}

/// Keys that lay in memory while the machine slept are gone before anybody can use them, where the
/// settings want that.
async fn drop_after_sleep(State(sessions): State<Shared>, request: Request, next: Next) -> Response {
    sessions.drop_after_sleep(&Reading::now()).await;
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::routing::get;
    use rke_engine::settings::access::Access;
    use tower::ServiceExt;

    use super::*;
    use crate::http::gate::Rules;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_500_that_tells_nothing() {
        let panics = get(|| async { panic!("the marker") as &str });
        let rules = Rules::new(&Access::default()).expect("settings");
        let admission = Admission::new(rules, None, Arc::default());
        let request = Request::get("/").header("host", "localhost").header("origin", "http://localhost:3000");
        let request = request.body(Body::empty()).expect("a request");
        let observer = Arc::new(Observer::new(Arc::default()));
        let guarded = guarded(Rows::NONE, panics, &Arc::new(admission), &observer);
        let response = guarded.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body = to_bytes(response.into_body(), 1000).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&body["error"], &body["code"]), (&true.into(), &500.into()));
        assert!(!body.to_string().contains("marker"));
    }
}
