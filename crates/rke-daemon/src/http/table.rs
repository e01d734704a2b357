//! The table of the API: each path with its methods, what answers them, and what the OpenAPI document
//! says of them. Routes are made here and nowhere else, so that none of them goes undescribed.

use axum::Router;
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::routing::{MethodRouter, get, post};
use utoipa::openapi::HttpMethod;

use super::failure::Failure;
use super::openapi::{Describe, Operations};

/// Paths, and what is said of them.
pub(super) struct Table<S = ()> {
    router: Router<S>,
    operations: Operations,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), operations: Operations::default() }
    }

    /// Adds a path of the API.
    pub(super) fn path(mut self, path: &'static str, methods: Methods<S>) -> Self {
        self.operations = self.operations.and(methods.operations.at(path));
        self.router = self.router.route(path, only(methods.allow, methods.answers));
        self
    }

    /// Adds a file for browsers, which is no part of the API.
    pub(super) fn file<H, T>(mut self, path: &'static str, file: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.router = self.router.route(path, only(READS, get(file)));
        self
    }

    pub(super) fn with_state(self, state: S) -> Table {
        Table { router: self.router.with_state(state), operations: self.operations }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.operations = self.operations.and(other.operations);
        self.router = self.router.merge(other.router);
        self
    }

    /// What answers requests.
    pub(super) fn into_router(self) -> Router<S> {
        self.router
    }

    /// All operations, in the order of the table.
    #[cfg(test)]
    pub(super) fn into_operations(self) -> Operations {
        self.operations
    }
}

/// The methods of a path.
pub(super) struct Methods<S> {
    allow: &'static str,
    answers: MethodRouter<S>,
    operations: Operations,
}

const READS: &str = "GET, HEAD, OPTIONS";

/// GET that changes nothing, so HEAD may do the same.
pub(super) fn reads<H, T, S>(read: H, describe: Describe) -> Methods<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Methods { allow: READS, answers: get(read), operations: Operations::of(HttpMethod::Get, describe) }
}

/// GET that changes something, or whose answer has no end.
pub(super) fn changes<H, T, S>(change: H, describe: Describe) -> Methods<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Methods {
        allow: "GET, OPTIONS",
        answers: get(change),
        operations: Operations::of(HttpMethod::Get, describe),
    }
}

/// POST.
pub(super) fn posts<H, T, S>(handler: H, describe: Describe) -> Methods<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    Methods {
        allow: "POST, OPTIONS",
        answers: post(handler),
        operations: Operations::of(HttpMethod::Post, describe),
    }
}

impl<S: Clone + Send + Sync + 'static> Methods<S> {
    /// The path of something to read, which DELETE removes.
    pub(super) fn and_deletes<H, T>(self, delete: H, describe: Describe) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let operations = self.operations.and(Operations::of(HttpMethod::Delete, describe));
        Self { allow: "GET, HEAD, DELETE, OPTIONS", answers: self.answers.delete(delete), operations }
    }

    /// What GET changes, POST changes too.
    pub(super) fn and_posts<H, T>(self, post: H, describe: Describe) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let operations = self.operations.and(Operations::of(HttpMethod::Post, describe));
        Self { allow: "GET, POST, OPTIONS", answers: self.answers.post(post), operations }
    }
}

/// What OPTIONS and every other method are answered. axum would run GET for HEAD too, so HEAD is
/// refused by name where it is not allowed.
fn only<S: Clone + Send + Sync + 'static>(allow: &'static str, methods: MethodRouter<S>) -> MethodRouter<S> {
    let refuse = move || async move { Failure::method(allow) };
    let methods = if allow.contains("HEAD") { methods } else { methods.head(refuse) };
    methods
        .options(move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]) })
        .fallback(refuse)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Sources below a folder that make routes, those of tests left out.
    fn makers(folder: &Path) -> Vec<String> {
        let mut makers = Vec::new();
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                makers.extend(self::makers(&path));
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            let program = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            if [".route(", ".route_service(", ".nest("].iter().any(|maker| program.contains(maker)) {
                makers.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            }
        }
        makers
    }

    #[test]
    fn routes_are_made_here_only_where_each_is_described() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(makers(&folder), ["table.rs"]);
    }
}
