//! Counts requests by route, method and class of response, and how long they took. A route's counters are found by
//! its number, without a lock, so a request costs a few atomic additions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use rke_engine::histogram::Histogram;

use crate::http::policy::Rows;

/// Methods that are counted separately. The last stands for all others, which clients may make up.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

/// Classes of responses. The last stands for no response.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// The traffic through all doors of a daemon.
pub struct Traffic {
    /// By the number of the path.
    routes: Vec<Counters>,
    no_route: Counters,
    connections: AtomicU64,
}

/// The traffic to one path.
pub(in crate::http) struct Counters {
    path: &'static str,
    answers: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    times: Histogram,
}

impl Traffic {
    /// Counters for these paths, in the order of their numbers, and for requests to no path.
    pub(in crate::http) fn new(paths: impl Iterator<Item = Rows>) -> Self {
        let routes = paths.map(Counters::new).collect();
        Self { routes, no_route: Counters::new(Rows::NONE), connections: AtomicU64::new(0) }
    }

    /// The counters of the path of these rows.
    pub(in crate::http) fn of(&self, rows: Rows) -> &Counters {
        self.routes.get(rows.number()).unwrap_or(&self.no_route)
    }

    /// The counters of each path, and those for all unknown paths.
    pub(in crate::http) fn routes(&self) -> impl Iterator<Item = &Counters> {
        self.routes.iter().chain([&self.no_route])
    }

    /// The number of open connections.
    pub(in crate::http) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection until the returned guard is dropped.
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

    /// Counts a response.
    pub(in crate::http) fn answered(&self, method: MethodName, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len() - 1) - 1;
        self.answers[method.0][class].fetch_add(1, Ordering::Relaxed);
        self.times.add(took);
    }

    /// Counts a request whose client has gone before the response.
    pub(in crate::http) fn abandoned(&self, method: MethodName) {
        self.answers[method.0][CLASSES.len() - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// Method, class and number of all responses so far.
    pub(in crate::http) fn responses(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
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

/// A method, or "other". A method that a client made up is never repeated.
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

/// An open connection.
pub(in crate::http) struct OpenConnection(Arc<Traffic>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
