//! The HTTP API: routes, parameters, answers. `docs/api.md` is its description; every path stands
//! in one table here.

pub mod admission;
mod answer;
mod asked;
mod bodies;
mod caller;
mod connection;
mod crowd;
mod delivery;
mod events;
mod failure;
pub mod front;
mod handlers;
mod head;
mod headers;
mod health;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod outgoing;
mod pages;
mod patience;
mod query;
mod refusals;
pub mod server;
mod serving;
mod table;
pub mod tls;
pub mod traffic;
mod tunnel;
mod turn;
pub mod unix_socket;
mod waiting;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rke_engine::model::clock::Reading;
use rke_engine::sessions::Sessions;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use admission::Admission;
use failure::Failure;
use front::Front;
use head::Frequent;
use observe::Observer;
use openapi::describe;
use pages::File;
use table::{Table, changes, posts, reads};
use traffic::Traffic;

type Shared = Arc<Sessions>;

/// The whole API over `sessions`, behind its gate, until `stopped`.
pub fn front(
    sessions: Shared,
    admission: Arc<Admission>,
    traffic: Arc<Traffic>,
    stopped: watch::Receiver<bool>,
) -> Front {
    let metrics = metrics::Sources {
        sessions: Arc::clone(&sessions),
        admission: Arc::clone(&admission),
        traffic: Arc::clone(&traffic),
        started: Timestamp::now(),
    };
    let health = health::Sources { sessions: Arc::clone(&sessions), stopped };
    let awake = from_fn_with_state(Arc::clone(&sessions), drop_after_sleep);
    let Tables { api, operators, health: probes, refusals, stateless } = Tables::new();
    let table = api.with_state(Arc::clone(&sessions)).merge(operators.with_state(metrics));
    let table = table.merge(probes.with_state(health)).merge(refusals.with_state(Arc::clone(&admission)));
    let observer = Arc::new(Observer::new(traffic));
    let router = table.merge(stateless).into_router();
    let routes = router.fallback(nowhere).layer(awake);
    let router = guarded(routes, Arc::clone(&admission), Arc::clone(&observer));
    Front { router, sessions, admission, observer, kinds: Default::default() }
}

/// All paths that there are, by what answers them.
struct Tables {
    api: Table<Shared>,
    operators: Table<metrics::Sources>,
    health: Table<health::Sources>,
    refusals: Table<Arc<Admission>>,
    stateless: Table,
}

impl Tables {
    fn new() -> Self {
        Self {
            api: api(),
            operators: Table::new()
                .path("/metrics", reads(metrics::show, describe::metrics))
                .path("/api/rke/events", changes(events::show, describe::events)),
            health: Table::new()
                .path("/health/live", reads(health::live, describe::live))
                .path("/health/ready", reads(health::ready, describe::ready)),
            refusals: Table::new().path("/api/rke/refusals", reads(refusals::show, describe::refusals)),
            stateless: pages().path("/openapi.json", reads(openapi::show, describe::openapi)),
        }
    }

    /// What the OpenAPI document is about.
    #[cfg(test)]
    fn operations(self) -> openapi::Operations {
        let Self { api, operators, health, refusals, stateless } = self;
        let operations = api.into_operations().and(operators.into_operations());
        let operations = operations.and(health.into_operations()).and(refusals.into_operations());
        operations.and(stateless.into_operations())
    }
}

/// What browsers are shown.
fn pages() -> Table {
    let file = |table: Table, file: &'static File| table.file(file.path(), move || async { file.answer() });
    pages::FILES.iter().fold(Table::new(), file)
}

fn api() -> Table<Shared> {
    let session = changes(handlers::create, describe::create_session)
        .and_posts(bodies::create, describe::create_session_by_post);
    let one_session = reads(handlers::show, describe::show_session)
        .and_deletes(handlers::delete_by_path, describe::delete_session_by_path);
    let sessions = reads(handlers::list, describe::list_sessions)
        .and_deletes(handlers::delete_all, describe::delete_sessions);
    let keys =
        reads(handlers::keys, describe::list_keys).and_deletes(handlers::forget_keys, describe::forget_keys);
    let encrypt =
        changes(handlers::encrypt, describe::encrypt).and_posts(bodies::encrypt, describe::encrypt_by_post);
    let decrypt =
        changes(handlers::decrypt, describe::decrypt).and_posts(bodies::decrypt, describe::decrypt_by_post);
    Table::new()
        .path("/api/rke/discover", reads(handlers::discover, describe::discover))
        .path("/api/rke/session", session)
        .path("/api/rke/sessions", sessions)
        .path("/api/rke/session/{id}", one_session)
        .path("/api/rke/session/{id}/renew", posts(handlers::renew, describe::renew_session))
        .path(Frequent::Delete.path(), changes(handlers::delete, describe::delete_session))
        .path(Frequent::Encrypt.path(), encrypt)
        .path(Frequent::Decrypt.path(), decrypt)
        .path("/api/rke/seal", posts(bodies::seal, describe::seal))
        .path("/api/rke/open", posts(bodies::open, describe::open))
        .path("/api/rke/session/{id}/tunnel", posts(tunnel::connect, describe::tunnel))
        .path("/api/rke/keys", keys)
        .path("/api/rke/raidas", reads(handlers::raidas, describe::raidas))
        .path("/api/rke/raidas/refresh", posts(handlers::refresh_raidas, describe::refresh_raidas))
        .path("/api/rke/status", reads(handlers::status, describe::status))
}

/// The answer where there is no such path. `OPTIONS *` asks about the server as a whole, and `CONNECT` about another one:
/// neither has a path.
async fn nowhere(request: Request) -> Response {
    const ALLOW: &str = "GET, HEAD, POST, DELETE, OPTIONS";
    match *request.method() {
        Method::OPTIONS if request.uri().path() == "*" => {
            (StatusCode::NO_CONTENT, [(header::ALLOW, ALLOW)]).into_response()
        }
        Method::CONNECT => Failure::method(ALLOW).into_response(),
        _ => Failure::new(StatusCode::NOT_FOUND, "No such path; see docs/api.md").into_response(),
    }
}

/// What every request goes through, from the last of these lines to the first.
fn guarded(routes: Router, admission: Arc<Admission>, observer: Arc<Observer>) -> Router {
    routes
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(admission, admission::check))
        .layer(from_fn_with_state(observer, observe::observe))
}

/// Keys that lay in memory while the machine slept are gone before anybody can use them, where the
/// settings want that.
async fn drop_after_sleep(State(sessions): State<Shared>, request: Request, next: Next) -> Response {
    sessions.drop_after_sleep(&Reading::now()).await;
    next.run(request).await
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
    use axum::routing::get;
    use rke_engine::settings::access::Access;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_500_that_tells_nothing() {
        let routes = Router::new().route("/", get(|| async { panic!("the marker") as &str }));
        let admission = Admission::new(&Access::default(), None, Arc::default()).expect("settings");
        let request = Request::get("/").header("host", "localhost").header("origin", "http://localhost:3000");
        let request = request.body(Body::empty()).expect("a request");
        let observer = Arc::new(Observer::new(Arc::default()));
        let guarded = guarded(routes, Arc::new(admission), observer);
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
