//! Requests counted by route, method and kind of answer, and how long they took. A route's counters are
//! found by its number, without a lock: a request costs a few atomic additions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use rke_engine::histogram::Histogram;

use crate::http::routes::Rows;

/// Methods that are told apart; the last stands for all others, which clients may make up.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

/// Kinds of answers; the last is none at all.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What goes through all doors of a daemon.
pub struct Traffic {
    /// By the number of the path.
    routes: Vec<Counters>,
    no_route: Counters,
    connections: AtomicU64,
}

/// What goes to one path.
pub(in crate::http) struct Counters {
    path: &'static str,
    answers: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    times: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        let routes = Rows::of_all_paths().map(Counters::new).collect();
        Self { routes, no_route: Counters::new(Rows::NONE), connections: AtomicU64::new(0) }
    }
}

impl Traffic {
    /// What goes to the path of these rows.
    pub(in crate::http) fn of(&self, rows: Rows) -> &Counters {
        self.routes.get(rows.number()).unwrap_or(&self.no_route)
    }

    /// What goes to each path, and to all that there are not.
    pub(in crate::http) fn routes(&self) -> impl Iterator<Item = &Counters> {
        self.routes.iter().chain([&self.no_route])
    }

    /// Connections that are open.
    pub(in crate::http) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection for as long as what this gives lives.
    pub(in crate::http) fn connected(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }
}

impl Counters {
    fn new(rows: Rows) -> Self {
        Self { path: rows.path(), answers: Default::default(), times: Histogram::default() }
    }

    pub(in crate::http) fn path(&self) -> &'static str {
        self.path
    }

    /// Counts an answer.
    pub(in crate::http) fn answered(&self, method: MethodName, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len() - 1) - 1;
        self.answers[method.0][class].fetch_add(1, Ordering::Relaxed);
        self.times.add(took);
    }

    /// Counts a request that nobody waits for any more.
    pub(in crate::http) fn abandoned(&self, method: MethodName) {
        self.answers[method.0][CLASSES.len() - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// Method, kind and number of the answers that there were.
    pub(in crate::http) fn answers(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let methods = METHODS.iter().zip(&self.answers);
        let all = methods.flat_map(|(method, counts)| {
            CLASSES.iter().zip(counts).map(|(class, count)| (*method, *class, count.load(Ordering::Relaxed)))
        });
        all.filter(|(.., count)| *count > 0)
    }

    pub(in crate::http) fn times(&self) -> &Histogram {
        &self.times
    }
}

/// A method, or "other": what a client made up is never repeated.
#[derive(Clone, Copy)]
pub(in crate::http) struct MethodName(usize);

impl MethodName {
    pub(in crate::http) fn of(method: &Method) -> Self {
        let known = METHODS.iter().position(|name| *name == method.as_str());
        Self(known.unwrap_or(METHODS.len() - 1))
    }

    pub(in crate::http) fn as_str(self) -> &'static str {
        METHODS[self.0]
    }
}

/// A connection that is open.
pub(in crate::http) struct OpenConnection(Arc<Traffic>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_counters_of_its_own_and_all_that_there_are_not_have_one() {
        let traffic = Traffic::default();
        let paths: Vec<Rows> = Rows::of_all_paths().collect();
        for rows in &paths {
            traffic.of(*rows).answered(MethodName::of(&Method::GET), StatusCode::OK, Duration::ZERO);
        }
        traffic.of(Rows::NONE).answered(
            MethodName::of(&"BREW".parse().expect("a method")),
            StatusCode::NOT_FOUND,
            Duration::ZERO,
        );
        let counted: Vec<_> =
            traffic.routes().map(|route| (route.path(), route.answers().collect::<Vec<_>>())).collect();
        assert_eq!(counted.len(), paths.len() + 1);
        for (rows, (path, answers)) in paths.iter().zip(&counted) {
            assert_eq!((*path, &answers[..]), (rows.path(), &[("GET", "2xx", 1)][..]));
        }
        assert_eq!(counted[paths.len()], ("none", vec![("other", "4xx", 1)]));
    }
}
