//! The HTTP API: routes, parameters and responses. `docs/api.md` describes it, and one table in `routes` lists
//! every path. A request arrives over the `wire`, passes the `gate` and is served by the `api`. Frequent requests
//! take the `fast` path there. `telemetry` records all of them. All of these modules share the `message` and the
//! `policy` of the row that a request has matched. They import in one direction: `wire`, `fast`, `routes`,
//! `openapi`, `api`, `telemetry`, `gate`, then those two.

mod api;
pub mod fast;
pub mod gate;
pub(crate) mod message;
#[cfg(test)]
mod openapi;
mod policy;
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
use rke_host::monitored::{LastReload, Monitored};
use rke_host::session_keys::SessionKeys;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::api::answer::EtsiPeerRow;
pub(crate) use self::api::state::EtsiPeers;
use self::api::state::{Api, Parts};
use self::api::watched::Watched;
use self::api::{Shared, health, metrics};
use self::fast::dispatcher::Dispatcher;
use self::gate::Admission;
use self::message::failure::answer_panic;
use self::policy::Rows;
use self::telemetry::observe::{self, Observer};
use self::telemetry::traffic::Traffic;

/// The whole API for `sessions`, behind its gate, until `stopped`.
pub(crate) fn dispatcher(
    sessions: Shared,
    admission: Arc<Admission>,
    traffic: Arc<Traffic>,
    stopped: watch::Receiver<bool>,
    etsi_peers: EtsiPeers,
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
        etsi_peers,
    });
    let awake = from_fn_with_state(Arc::clone(&sessions), drop_after_sleep);
    let guarded =
        |rows, methods: MethodRouter| guarded(rows, methods.layer(awake.clone()), &admission, &observer);
    let router = routes::router(&api, guarded);
    Dispatcher::new(router, Some(sessions), admission, observer)
}

/// The part of the API that a Content Server has, for its keys.
pub(crate) fn dispatcher_of_other_end(
    keys: &Arc<dyn SessionKeys>,
    admission: Arc<Admission>,
    traffic: Arc<Traffic>,
) -> Dispatcher {
    let observer = Arc::new(Observer::new(traffic));
    let router = routes::other_end(keys, |rows, methods| guarded(rows, methods, &admission, &observer));
    Dispatcher::new(router, None, admission, observer)
}

/// The part of the API that those who monitor a node or a Content Server have, of a program that starts now.
pub(crate) fn dispatcher_of_watched(
    program: &Arc<dyn Monitored>,
    last_reload: &Arc<LastReload>,
    admission: Arc<Admission>,
    traffic: Arc<Traffic>,
) -> Dispatcher {
    let observer = Arc::new(Observer::new(traffic));
    let (program, last_reload) = (Arc::clone(program), Arc::clone(last_reload));
    let watched = Watched { program, last_reload, started: Timestamp::now() };
    let router = routes::watched(&watched, |rows, methods| guarded(rows, methods, &admission, &observer));
    Dispatcher::new(router, None, admission, observer)
}

/// Counters for the requests to each path of that part.
pub(crate) fn traffic_of_watched() -> Traffic {
    Traffic::new(routes::paths_of_watched())
}

/// Counters for the requests to each path of a Content Server.
pub(crate) fn traffic_of_other_end() -> Traffic {
    Traffic::new(routes::paths_of_other_end())
}

/// Counters for the requests to each path of the API.
pub(crate) fn traffic() -> Traffic {
    Traffic::new(routes::paths())
}

/// Wraps the methods of a path in the layers that every request passes, from the last of these lines to the first.
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

/// If the settings require it, removes the keys that were in memory while the machine slept, before anyone can use
/// them.
async fn drop_after_sleep(State(sessions): State<Shared>, request: Request, next: Next) -> Response {
    sessions.drop_after_sleep(&Reading::now()).await;
    next.run(request).await
}

#[cfg(test)]
mod tests;
