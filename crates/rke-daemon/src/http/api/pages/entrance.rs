//! Names of pages with and without the final slash: one of the two leads to the other.

use axum::http::{StatusCode, header};
use axum::routing::{MethodRouter, get};

use super::POLICY_OF_FILES;
use crate::http::api::state::Api;
use crate::http::policy::{Row, Verb};

/// The links of the book are relative to its name with the slash; the reference has none.
const LEADS: [(&str, &str); 2] = [("/book", "/book/"), ("/docs/", "/docs")];

/// A row for each name that only leads to another.
pub(in crate::http) static ROWS: [Row; LEADS.len()] = [row(LEADS[0].0), row(LEADS[1].0)];

const fn row(path: &'static str) -> Row {
    Row { verb: Verb::Read, path, policy: POLICY_OF_FILES }
}

/// The handlers of the rows, in their order.
pub(in crate::http) fn handlers() -> impl Iterator<Item = MethodRouter<Api>> {
    let lead =
        |(_, to)| get(move || async move { (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]) });
    LEADS.into_iter().map(lead)
}
