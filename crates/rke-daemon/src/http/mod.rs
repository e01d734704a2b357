//! The HTTP API: routes, parameters, answers. `docs/api.md` is its description; every path stands
//! in one table here.

pub mod admission;
mod answer;
mod bodies;
mod caller;
mod connection;
mod console;
mod events;
mod failure;
mod handlers;
mod headers;
mod health;
mod limits;
mod metrics;
mod observe;
mod patience;
mod query;
mod refusals;
pub mod server;
pub mod tls;
pub mod traffic;
mod tunnel;
pub mod unix_socket;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use jiff::Timestamp;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::sessions::Sessions;
use admission::Admission;
use failure::Failure;
use observe::Observer;
use traffic::Traffic;

type Shared = Arc<Sessions>;

/// The whole API over `sessions`, behind its gate, until `stopped`.
pub fn router(
    sessions: Shared,
    admission: Arc<Admission>,
    traffic: Arc<Traffic>,
    stopped: watch::Receiver<bool>,
) -> Router {
    let metrics = metrics::Sources {
        sessions: Arc::clone(&sessions),
        admission: Arc::clone(&admission),
        traffic: Arc::clone(&traffic),
        started: Timestamp::now(),
    };
    let health = health::Sources { sessions: Arc::clone(&sessions), stopped };
    let awake = from_fn_with_state(Arc::clone(&sessions), drop_after_sleep);
    let refusals = Router::new().route("/api/rke/refusals", reads(refusals::show));
    let refusals = refusals.with_state(Arc::clone(&admission));
    let routes =
        routes(sessions).merge(console::routes()).merge(for_operators(metrics, health)).merge(refusals);
    guarded(routes.layer(awake), admission, traffic)
}

fn for_operators(metrics: metrics::Sources, health: health::Sources) -> Router {
    let health = Router::new()
        .route("/health/live", reads(health::live))
        .route("/health/ready", reads(health::ready))
        .with_state(health);
    let events = Router::new().route("/api/rke/events", changes(events::show)).with_state(metrics.clone());
    Router::new().route("/metrics", reads(metrics::show)).with_state(metrics).merge(events).merge(health)
}

fn routes(sessions: Shared) -> Router {
    Router::new()
        .route("/api/rke/discover", reads(handlers::discover))
        .route("/api/rke/session", changes_and_posts(handlers::create, bodies::create))
        .route("/api/rke/session/{id}", reads_and_deletes(handlers::show, handlers::delete_by_path))
        .route("/api/rke/session/delete", changes(handlers::delete))
        .route("/api/rke/session/{id}/renew", posts(handlers::renew))
        .route("/api/rke/session/{id}/tunnel", posts(tunnel::connect))
        .route("/api/rke/raidas", reads(handlers::raidas))
        .route("/api/rke/sessions", reads_and_deletes(handlers::list, handlers::delete_all))
        .route("/api/rke/keys", reads_and_deletes(handlers::keys, handlers::forget_keys))
        .route("/api/rke/encrypt", changes_and_posts(handlers::encrypt, bodies::encrypt))
        .route("/api/rke/decrypt", changes_and_posts(handlers::decrypt, bodies::decrypt))
        .route("/api/rke/seal", posts(bodies::seal))
        .route("/api/rke/open", posts(bodies::open))
        .route("/api/rke/status", reads(handlers::status))
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "No such path; see docs/api.md") })
        .with_state(sessions)
}

/// What every request goes through, from the last of these lines to the first.
fn guarded(routes: Router, admission: Arc<Admission>, traffic: Arc<Traffic>) -> Router {
    let observer = Arc::new(Observer::new(traffic));
    routes
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(admission, admission::check))
        .layer(from_fn_with_state(observer, observe::observe))
}

/// Keys that lay in memory while the machine slept are gone before anybody can use them, where the
/// settings want that.
async fn drop_after_sleep(State(sessions): State<Shared>, request: Request, next: Next) -> Response {
    sessions.drop_after_sleep().await;
    next.run(request).await
}

/// GET that changes nothing, so HEAD may do the same.
fn reads<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    only("GET, HEAD, OPTIONS", get(handler))
}

/// The same, and DELETE.
fn reads_and_deletes<R, D, T, U>(read: R, delete: D) -> MethodRouter<Shared>
where
    R: Handler<T, Shared>,
    D: Handler<U, Shared>,
    T: 'static,
    U: 'static,
{
    only("GET, HEAD, DELETE, OPTIONS", get(read).delete(delete))
}

/// GET that changes something, or whose answer has no end. axum would run it for HEAD too, so HEAD is
/// refused by name.
fn changes<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    const ALLOW: &str = "GET, OPTIONS";
    only(ALLOW, get(handler).head(|| async { Failure::method(ALLOW) }))
}

/// The same, and POST.
fn changes_and_posts<G, P, T, U>(change: G, post: P) -> MethodRouter<Shared>
where
    G: Handler<T, Shared>,
    P: Handler<U, Shared>,
    T: 'static,
    U: 'static,
{
    const ALLOW: &str = "GET, POST, OPTIONS";
    only(ALLOW, get(change).post(post).head(|| async { Failure::method(ALLOW) }))
}

/// POST.
fn posts<H, T>(handler: H) -> MethodRouter<Shared>
where
    H: Handler<T, Shared>,
    T: 'static,
{
    only("POST, OPTIONS", post(handler))
}

/// What OPTIONS and every other method are answered.
fn only<S: Clone + Send + Sync + 'static>(allow: &'static str, methods: MethodRouter<S>) -> MethodRouter<S> {
    methods
        .options(move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]) })
        .fallback(move || async move { Failure::method(allow) })
}

/// The answer where a handler panicked. The panic's text may hold anything, so it stays out.
fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked: this is a bug in rke");
    Failure::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::access::Access;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_500_that_tells_nothing() {
        let routes = Router::new().route("/", get(|| async { panic!("the marker") as &str }));
        let admission = Admission::new(&Access::default(), None, Arc::default()).expect("settings");
        let request = Request::get("/").header("host", "localhost").header("origin", "http://localhost:3000");
        let request = request.body(Body::empty()).expect("a request");
        let response =
            guarded(routes, Arc::new(admission), Arc::default()).oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body = to_bytes(response.into_body(), 1000).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&body["error"], &body["code"]), (&true.into(), &500.into()));
        assert!(!body.to_string().contains("marker"));
    }
}
