//! The book: the documents of this project as pages, stored in the program. `cargo xtask book` generates them.

mod names;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::{CSS, HTML, POLICY_OF_FILES, SVG};
use crate::http::api::state::Api;
use crate::http::message::failure::Failure;
use crate::http::policy::{Row, Verb};

/// A page loads its text, styles and pictures. It runs no scripts, and cannot be framed.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A picture carries its own colours, because a user may open it by itself.
const POLICY_OF_PICTURES: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const FIRST_PAGE: &str = "index.html";

/// Includes the files with these names.
macro_rules! files {
    ($($name:literal,)*) => {
        /// All files, with name and text. The system loads them from the program's file only when they are
        /// requested.
        pub(super) static FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/book/", $name)))),*
        ];
    };
}
use files;

/// The rows of the book: its name without the final slash, its first page, and all files. The links of its pages
/// are relative to the name with the slash.
pub(in crate::http) static ROWS: [Row; 3] = [row("/book"), row("/book/"), row("/book/{name}")];

const fn row(path: &'static str) -> Row {
    Row { verb: Verb::Read, path, policy: POLICY_OF_FILES }
}

/// The handlers of the rows, in their order.
pub(in crate::http) fn handlers() -> [MethodRouter<Api>; 3] {
    let enter = || async { (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/book/")]) };
    let begin = || async { answer(FIRST_PAGE) };
    let show = |name: Result<Path<String>, PathRejection>| async move {
        name.map_or_else(|_| Failure::no_path().into_response(), |Path(name)| answer(&name))
    };
    [get(enter), get(begin), get(show)]
}

fn answer(name: &str) -> Response {
    let Some((_, text)) = names::FILES.iter().find(|(file, _)| *file == name) else {
        return Failure::no_path().into_response();
    };
    let (kind, policy) = match name.rsplit_once('.') {
        Some((_, "css")) => (CSS, POLICY),
        Some((_, "svg")) => (SVG, POLICY_OF_PICTURES),
        _ => (HTML, POLICY),
    };
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)], *text).into_response()
}

#[cfg(test)]
mod tests;
