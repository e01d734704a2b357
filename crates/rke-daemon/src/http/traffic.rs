//! Requests counted by route, method and kind of answer, and how long they took. A route's counters are
//! found without a lock and made once, when it is first asked: a request costs a few atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use rke_engine::histogram::Histogram;

/// More than the API has. Patterns come from the program, never from a request.
const MAX_ROUTES: usize = 64;

/// What stands for a path that is none of the API's, or a pattern beyond the 64th.
const NO_ROUTE: &str = "none";

/// Methods that are told apart; the last stands for all others, which clients may make up.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

/// Kinds of answers; the last is none at all.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What goes through all doors of a daemon.
pub struct Traffic {
    routes: [OnceLock<Box<Route>>; MAX_ROUTES],
    no_route: Route,
    connections: AtomicU64,
}

/// One of the routes. `None` for what is none of the API's.
#[derive(Clone, Copy)]
pub(super) struct RouteIndex(Option<usize>);

/// What goes to one route.
pub(super) struct Route {
    pattern: String,
    answers: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    times: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        let routes = std::array::from_fn(|_| OnceLock::new());
        Self { routes, no_route: Route::new(NO_ROUTE), connections: AtomicU64::new(0) }
    }
}

impl Traffic {
    /// Which route is that of this pattern.
    pub(super) fn route_of(&self, pattern: Option<&str>) -> RouteIndex {
        let Some(pattern) = pattern else { return RouteIndex(None) };
        let mut made = self.routes.iter().map(|slot| slot.get_or_init(|| Box::new(Route::new(pattern))));
        RouteIndex(made.position(|route| route.pattern == pattern))
    }

    /// The route that [`Traffic::route_of`] has found.
    pub(super) fn at(&self, RouteIndex(at): RouteIndex) -> &Route {
        at.and_then(|at| self.routes[at].get()).map_or(&self.no_route, Box::as_ref)
    }

    /// All routes that were asked.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter_map(OnceLock::get).map(Box::as_ref).chain([&self.no_route])
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection for as long as what this gives lives.
    pub(super) fn connected(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }
}

impl Route {
    fn new(pattern: &str) -> Self {
        Self { pattern: pattern.into(), answers: Default::default(), times: Histogram::default() }
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Counts an answer.
    pub(super) fn answered(&self, method: MethodName, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len() - 1) - 1;
        self.answers[method.0][class].fetch_add(1, Ordering::Relaxed);
        self.times.add(took);
    }

    /// Counts a request that nobody waits for any more.
    pub(super) fn abandoned(&self, method: MethodName) {
        self.answers[method.0][CLASSES.len() - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// Method, kind and number of the answers that there were.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let methods = METHODS.iter().zip(&self.answers);
        let all = methods.flat_map(|(method, counts)| {
            CLASSES.iter().zip(counts).map(|(class, count)| (*method, *class, count.load(Ordering::Relaxed)))
        });
        all.filter(|(.., count)| *count > 0)
    }

    pub(super) fn times(&self) -> &Histogram {
        &self.times
    }
}

/// A method, or "other": what a client made up is never repeated.
#[derive(Clone, Copy)]
pub(super) struct MethodName(usize);

impl MethodName {
    pub(super) fn of(method: &Method) -> Self {
        let known = METHODS.iter().position(|name| *name == method.as_str());
        Self(known.unwrap_or(METHODS.len() - 1))
    }

    pub(super) fn as_str(self) -> &'static str {
        METHODS[self.0]
    }
}

/// A connection that is open.
pub(super) struct OpenConnection(Arc<Traffic>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_counters_of_its_own_and_what_does_not_fit_is_counted_together() {
        let traffic = Traffic::default();
        let patterns: Vec<String> = (0..MAX_ROUTES + 2).map(|at| format!("/{at}")).collect();
        for _ in 0..2 {
            for pattern in &patterns {
                let route = traffic.at(traffic.route_of(Some(pattern)));
                route.answered(MethodName::of(&Method::GET), StatusCode::OK, Duration::ZERO);
            }
        }
        traffic.at(traffic.route_of(None)).answered(
            MethodName::of(&"BREW".parse().expect("a method")),
            StatusCode::NOT_FOUND,
            Duration::ZERO,
        );
        let counted: Vec<_> =
            traffic.routes().map(|route| (route.pattern(), route.answers().collect::<Vec<_>>())).collect();
        assert_eq!(counted.len(), MAX_ROUTES + 1);
        assert!(counted[..MAX_ROUTES].iter().all(|(_, answers)| answers[..] == [("GET", "2xx", 2)]));
        assert_eq!(counted[MAX_ROUTES], (NO_ROUTE, vec![("GET", "2xx", 4), ("other", "4xx", 1)]));
    }
}
