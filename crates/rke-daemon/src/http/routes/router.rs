//! The router of the table. Routes are made here and nowhere else, so that each of them is a row.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};

use super::{Answer, Route, Rows, Verb};
use crate::http::api::failure::Failure;
use crate::http::api::state::Api;

/// A router of all routes, each path of which is `guarded`: so is what there is not.
pub(in crate::http) fn router(api: &Api, guarded: impl Fn(Rows, MethodRouter) -> MethodRouter) -> Router {
    let add = |router: Router, rows: Rows| {
        let methods = rows.methods().with_state(api.clone());
        router.route(rows.path(), guarded(rows, methods))
    };
    let routes = Rows::of_all_paths().fold(Router::new(), add);
    routes.fallback_service(guarded(Rows::NONE, any(nowhere)))
}

impl Route {
    fn add_to(&self, methods: MethodRouter<Api>) -> MethodRouter<Api> {
        match self.answer {
            Answer::Handler(add) => add(methods, self.verb.filter()),
            Answer::File(file) => methods.on(self.verb.filter(), move || async move { file.answer() }),
        }
    }
}

impl Rows {
    /// What answers each method. axum would run GET for HEAD too, so HEAD is refused by name where it is not
    /// allowed.
    fn methods(self) -> MethodRouter<Api> {
        let methods = self.rows.iter().fold(MethodRouter::new(), |methods, row| row.add_to(methods));
        let allowed = self.allowed();
        let refuse = {
            let allowed = allowed.clone();
            move || async move { Failure::method(&allowed) }
        };
        let reads = self.rows.iter().any(|row| row.verb == Verb::Read);
        let methods = if reads { methods } else { methods.head(refuse.clone()) };
        methods
            .options(move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, allowed)]) })
            .fallback(refuse)
    }

    /// The methods that there are, as the header `Allow` lists them.
    fn allowed(self) -> String {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
        let taken = methods.iter().filter(|method| self.rows.iter().any(|row| row.verb.takes(method)));
        let names: Vec<&str> = taken.chain([&Method::OPTIONS]).map(Method::as_str).collect();
        names.join(", ")
    }
}

/// Answers requests for paths that are not in the table. `OPTIONS *` asks about the server as a whole, and `CONNECT` about another one:
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
