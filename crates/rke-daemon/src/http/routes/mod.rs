//! Routes are rows. Each has a method and a path, a policy, a handler, and a description for the OpenAPI document.
//! The modules below know only the method, the path and the policy, as a row of `policy`. Handlers and descriptions
//! are added here.

mod router;
mod table;

use std::slice;

use axum::routing::{MethodFilter, MethodRouter};

pub(super) use self::router::{other_end, router, watched};
pub(crate) use self::table::*;
use super::api::pages::{self, book, entrance};
#[cfg(test)]
use super::openapi::Describe;
use super::policy::{Row, Rows};

/// A row of the table, with its handler.
pub(super) struct Route<S> {
    pub(super) row: Row,
    /// Adds its handler to the methods of the path.
    add: fn(MethodRouter<S>, MethodFilter) -> MethodRouter<S>,
    /// Only tests make the document, so only they need this.
    #[cfg(test)]
    pub(super) describe: Describe,
}

/// The rows of each path, in the order of the paths' numbers: first those of the API, then the files, the book and
/// the names that lead to another, which have one row for each path.
pub(super) fn paths() -> impl Iterator<Item = Rows> {
    let of_api = ROWS.chunk_by(|one, next| one.path == next.path);
    let of_files = pages::FILES.iter().map(|file| slice::from_ref(&file.row));
    let of_book = book::ROWS.iter().map(slice::from_ref);
    let of_entrances = entrance::ROWS.iter().map(slice::from_ref);
    of_api
        .chain(of_files)
        .chain(of_book)
        .chain(of_entrances)
        .enumerate()
        .map(|(number, rows)| Rows::new(number, rows))
}

/// The rows of each path of a Content Server, in the order of the paths' numbers.
pub(super) fn paths_of_other_end() -> impl Iterator<Item = Rows> {
    paths_of(ROWS_OF_OTHER_END)
}

/// The rows of each path for those who monitor a program, in the order of the paths' numbers.
pub(super) fn paths_of_watched() -> impl Iterator<Item = Rows> {
    paths_of(ROWS_OF_WATCHED)
}

fn paths_of(rows: &'static [Row]) -> impl Iterator<Item = Rows> {
    let paths = rows.chunk_by(|one, next| one.path == next.path);
    paths.enumerate().map(|(number, rows)| Rows::new(number, rows))
}

/// All rows of this row's path.
pub(super) fn beside(row: &Row) -> Rows {
    paths().find(|rows| rows.path() == row.path).unwrap_or(Rows::NONE)
}

#[cfg(test)]
mod tests;
