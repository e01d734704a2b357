//! Routes are rows: each is a method on a path, with what answers it, what the OpenAPI document says of it, and its
//! policy. The gate, the limits, the log, the metrics and the refusals read the row that a request has matched.

mod policy;
mod router;
mod table;

use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};

pub(super) use self::policy::{Audience, BodyRule, Cost, LogWeight, Policy};
pub(super) use self::router::router;
pub(crate) use self::table::*;
use super::api::pages;
use super::api::state::Api;
#[cfg(test)]
use super::openapi::Describe;

/// What stands for the path of a request that is none of the table's.
const NO_PATH: &str = "none";

/// A row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(super) verb: Verb,
    /// Its path, in which `{id}` stands for any segment.
    pub(crate) path: &'static str,
    pub(super) policy: Policy,
    pub(super) answer: Answer,
    /// `None` for a file, which is no part of the API. Only a test makes the document, so only it has this.
    #[cfg(test)]
    pub(super) describe: Option<Describe>,
}

/// What answers a route.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// A handler, which this adds to the methods of the path.
    Handler(fn(MethodRouter<Api>, MethodFilter) -> MethodRouter<Api>),
    /// A file for browsers.
    File(pages::File),
}

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// GET that changes nothing, so HEAD may do the same.
    Read,
    /// GET that changes something, or whose answer has no end.
    Get,
    Post,
    Delete,
}

impl Verb {
    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Read => matches!(*method, Method::GET | Method::HEAD),
            Self::Get => *method == Method::GET,
            Self::Post => *method == Method::POST,
            Self::Delete => *method == Method::DELETE,
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Read | Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// All rows of one path, and the number of the path among all of them.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    number: usize,
    rows: &'static [Route],
}

impl Rows {
    /// Of a path that is none of the table's.
    pub(super) const NONE: Self = Self { number: usize::MAX, rows: &[] };

    /// Those of all paths, in the order of their numbers.
    pub(super) fn of_all_paths() -> impl Iterator<Item = Self> {
        let paths = TABLE.chunk_by(|one, next| one.path == next.path).chain(pages::FILES.chunks(1));
        paths.enumerate().map(|(number, rows)| Self { number, rows })
    }

    /// Those of the path of a route.
    pub(super) fn beside(route: &Route) -> Self {
        Self::of_all_paths().find(|rows| rows.path() == route.path).unwrap_or(Self::NONE)
    }

    /// The path, or what stands for one that there is not.
    pub(super) fn path(self) -> &'static str {
        self.rows.first().map_or(NO_PATH, |row| row.path)
    }

    /// The number of the path.
    pub(super) fn number(self) -> usize {
        self.number
    }

    /// What holds for requests with this method. One that the path does not have does nothing; who may hear that is
    /// who may use the path.
    pub(super) fn policy(self, method: &Method) -> Policy {
        let row = self.rows.iter().find(|row| row.verb.takes(method));
        let audience = self.rows.first().map_or(Policy::NO_ROUTE.audience, |row| row.policy.audience);
        row.map_or(Policy { audience, ..Policy::NO_ROUTE }, |row| row.policy)
    }
}

/// What the OpenAPI document is about.
#[cfg(test)]
pub(super) fn described() -> impl Iterator<Item = (&'static Route, Describe)> {
    TABLE.iter().filter_map(|route| Some((route, route.describe?)))
}

#[cfg(test)]
impl Route {
    /// Its path, with this id in it.
    pub(crate) fn with_id(&self, id: impl std::fmt::Display) -> String {
        self.path.replace("{id}", &id.to_string())
    }
}

#[cfg(test)]
mod tests;
