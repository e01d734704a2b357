//! The HTTP API: routes, parameters, answers. `docs/api.md` is its description; every path stands
//! in one table here.

mod answer;
mod connection;
mod failure;
mod handlers;
mod limits;
mod query;
pub mod server;
mod tunnel;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::sessions::Sessions;
use failure::Failure;

type Shared = Arc<Sessions>;

/// The whole API over `sessions`.
pub fn router(sessions: Shared) -> Router {
    Router::new()
        .route("/api/rke/discover", reads(handlers::discover))
        .route("/api/rke/session", changes(handlers::create))
        .route("/api/rke/session/{id}", reads(handlers::show))
        .route("/api/rke/session/delete", changes(handlers::delete))
        .route("/api/rke/session/{id}/tunnel", takes_a_body(tunnel::connect))
        .route("/api/rke/raidas", reads(handlers::raidas))
        .route("/api/rke/sessions", reads(handlers::list))
        .route("/api/rke/encrypt", changes(handlers::encrypt))
        .route("/api/rke/decrypt", changes(handlers::decrypt))
        .route("/api/rke/status", reads(handlers::status))
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "No such path; see docs/api.md") })
        .with_state(sessions)
        .layer(from_fn(limits::check))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(always(header::CACHE_CONTROL, "no-store"))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
}

/// GET that changes nothing, so HEAD may do the same.
fn reads<H, T>(handler: H) -> MethodRouter<Shared>
where
    H: Handler<T, Shared>,
    T: 'static,
{
    const ALLOW: &str = "GET, HEAD, OPTIONS";
    get(handler).options(|| async { allowed(ALLOW) }).fallback(|| async { Failure::method(ALLOW) })
}

/// GET that changes something. axum would run it for HEAD too, so HEAD is refused by name.
fn changes<H, T>(handler: H) -> MethodRouter<Shared>
where
    H: Handler<T, Shared>,
    T: 'static,
{
    const ALLOW: &str = "GET, OPTIONS";
    get(handler)
        .head(|| async { Failure::method(ALLOW) })
        .options(|| async { allowed(ALLOW) })
        .fallback(|| async { Failure::method(ALLOW) })
}

/// POST.
fn takes_a_body<H, T>(handler: H) -> MethodRouter<Shared>
where
    H: Handler<T, Shared>,
    T: 'static,
{
    const ALLOW: &str = "POST, OPTIONS";
    post(handler).options(|| async { allowed(ALLOW) }).fallback(|| async { Failure::method(ALLOW) })
}

fn allowed(methods: &'static str) -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(header::ALLOW, methods)])
}

fn always(name: header::HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

/// The answer where a handler panicked. The panic's text may hold anything, so it stays out.
fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked: this is a bug in rke");
    Failure::internal().into_response()
}
