//! The router of the table. Routes are made only here, so each of them is a row.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};

use super::{
    Route, TABLE, TABLE_OF_OTHER_END, TABLE_OF_WATCHED, paths, paths_of_other_end, paths_of_watched,
};
use crate::http::api::HeldKeys;
use crate::http::api::pages::{self, book, entrance};
use crate::http::api::state::Api;
use crate::http::api::watched::Watched;
use crate::http::message::failure::Failure;
use crate::http::policy::Rows;

/// A router of all routes. Each path is `guarded`, and so are paths that do not exist.
pub(in crate::http) fn router(api: &Api, guarded: impl Fn(Rows, MethodRouter) -> MethodRouter) -> Router {
    build(api, paths().zip(handlers()), guarded)
}

/// A router of the routes of a Content Server, in the same way.
pub(in crate::http) fn other_end(
    keys: &HeldKeys,
    guarded: impl Fn(Rows, MethodRouter) -> MethodRouter,
) -> Router {
    build(keys, paths_of_other_end().zip(of_table(TABLE_OF_OTHER_END)), guarded)
}

/// A router of the routes for those who monitor a program, in the same way.
pub(in crate::http) fn watched(
    program: &Watched,
    guarded: impl Fn(Rows, MethodRouter) -> MethodRouter,
) -> Router {
    build(program, paths_of_watched().zip(of_table(TABLE_OF_WATCHED)), guarded)
}

fn build<S: Clone + Send + Sync + 'static>(
    state: &S,
    paths: impl Iterator<Item = (Rows, MethodRouter<S>)>,
    guarded: impl Fn(Rows, MethodRouter) -> MethodRouter,
) -> Router {
    let add = |router: Router, (rows, methods): (Rows, MethodRouter<S>)| {
        let methods = complete(rows, methods).with_state(state.clone());
        router.route(rows.path(), guarded(rows, methods))
    };
    let routes = paths.fold(Router::new(), add);
    routes.fallback_service(guarded(Rows::NONE, any(nowhere)))
}

/// The handlers of each path, in the order of [`paths`].
fn handlers() -> impl Iterator<Item = MethodRouter<Api>> {
    let of_files = pages::FILES
        .iter()
        .map(|file| MethodRouter::new().on(file.row.verb.filter(), move || async move { file.answer() }));
    of_table(TABLE).chain(of_files).chain(book::handlers()).chain(entrance::handlers())
}

/// The handlers of each path of a table.
fn of_table<S: Clone + Send + Sync + 'static>(
    table: &'static [Route<S>],
) -> impl Iterator<Item = MethodRouter<S>> {
    table.chunk_by(|one, next| one.row.path == next.row.path).map(|routes| {
        routes
            .iter()
            .fold(MethodRouter::new(), |methods, route| (route.add)(methods, route.row.verb.filter()))
    })
}

/// Adds the responses to all other methods. axum would run GET for HEAD too, so HEAD is refused explicitly if it is
/// not allowed.
fn complete<S: Clone + Send + Sync + 'static>(rows: Rows, methods: MethodRouter<S>) -> MethodRouter<S> {
    let allowed = allowed(rows);
    let refuse = {
        let allowed = allowed.clone();
        move || async move { Failure::method(&allowed) }
    };
    let methods = if rows.has(&Method::HEAD) { methods } else { methods.head(refuse.clone()) };
    methods
        .options(move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, allowed)]) })
        .fallback(refuse)
}

/// The allowed methods, as the header `Allow` lists them.
fn allowed(rows: Rows) -> String {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
    let taken = methods.iter().filter(|method| rows.has(method));
    let names: Vec<&str> = taken.chain([&Method::OPTIONS]).map(Method::as_str).collect();
    names.join(", ")
}

/// Handles requests for paths that are not in the table. `OPTIONS *` is about the server as a whole, and `CONNECT`
/// about another one: neither has a path.
async fn nowhere(request: Request) -> Response {
    const ALLOW: &str = "GET, HEAD, POST, DELETE, OPTIONS";
    match *request.method() {
        Method::OPTIONS if request.uri().path() == "*" => {
            (StatusCode::NO_CONTENT, [(header::ALLOW, ALLOW)]).into_response()
        }
        Method::CONNECT => Failure::method(ALLOW).into_response(),
        _ => Failure::no_path().into_response(),
    }
}
