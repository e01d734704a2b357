//! Rows of the table of routes, and the rows of one path together.

use axum::http::Method;
use axum::routing::MethodFilter;

use super::Policy;

/// Stands for the path of a request that is not in the table.
const NO_PATH: &str = "none";

/// A method on a path, with the policy of its requests.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(in crate::http) verb: Verb,
    /// Its path, where `{id}` stands for any segment.
    pub(crate) path: &'static str,
    pub(in crate::http) policy: Policy,
}

#[cfg(test)]
impl Row {
    /// Its path with this id.
    pub(crate) fn with_id(&self, id: impl std::fmt::Display) -> String {
        self.path.replace("{id}", &id.to_string())
    }
}

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Verb {
    /// A GET that changes nothing, so HEAD does the same.
    Read,
    /// A GET that changes something, or whose response has no end.
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

    pub(in crate::http) fn filter(self) -> MethodFilter {
        match self {
            Self::Read | Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// All rows of one path, and the number of that path.
#[derive(Clone, Copy)]
pub(in crate::http) struct Rows {
    number: usize,
    rows: &'static [Row],
}

impl Rows {
    /// The rows of a path that is not in the table: none.
    pub(in crate::http) const NONE: Self = Self { number: usize::MAX, rows: &[] };

    /// The rows of a path, with its number.
    pub(in crate::http) fn new(number: usize, rows: &'static [Row]) -> Self {
        Self { number, rows }
    }

    /// The path, or a placeholder if it is not in the table.
    pub(in crate::http) fn path(self) -> &'static str {
        self.rows.first().map_or(NO_PATH, |row| row.path)
    }

    /// The number of the path.
    pub(in crate::http) fn number(self) -> usize {
        self.number
    }

    /// Whether the path accepts this method.
    pub(in crate::http) fn has(self, method: &Method) -> bool {
        self.rows.iter().any(|row| row.verb.takes(method))
    }

    /// The policy of requests with this method. A method that the path does not accept does nothing, and its
    /// audience is that of the path.
    pub(in crate::http) fn policy(self, method: &Method) -> Policy {
        let row = self.rows.iter().find(|row| row.verb.takes(method));
        let audience = self.rows.first().map_or(Policy::NO_ROUTE.audience, |row| row.policy.audience);
        row.map_or(Policy { audience, ..Policy::NO_ROUTE }, |row| row.policy)
    }
}
