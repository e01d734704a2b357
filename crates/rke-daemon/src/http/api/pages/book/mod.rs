//! The book: the documents of this project as pages, stored in the program. `cargo xtask book` generates them.

mod names;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::{CSS, HTML, POLICY_OF_FILES, SVG};
use crate::http::api::state::Api;
use crate::http::message::failure::Failure;
use crate::http::policy::{Row, Verb};

/// A page loads its styles, font, pictures, and the script that applies the theme of the console. It connects to
/// nothing, runs nothing inline, and cannot be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A picture carries its own colours, because a user may open it by itself.
const POLICY_OF_PICTURES: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const FIRST_PAGE: &str = "index.html";

/// The page that stands for one that does not exist.
const MISSING: &str = "404.html";

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

/// The rows of the book: its first page, and all files.
pub(in crate::http) static ROWS: [Row; 2] = [row("/book/"), row("/book/{name}")];

const fn row(path: &'static str) -> Row {
    Row { verb: Verb::Read, path, policy: POLICY_OF_FILES }
}

/// The handlers of the rows, in their order.
pub(in crate::http) fn handlers() -> [MethodRouter<Api>; 2] {
    let begin = |headers: HeaderMap| async move { answer(FIRST_PAGE).unwrap_or_else(|| missing(&headers)) };
    let show = |headers: HeaderMap, name: Result<Path<String>, PathRejection>| async move {
        let name = name.map_or_else(|_| String::new(), |Path(name)| name);
        answer(&name).unwrap_or_else(|| missing(&headers))
    };
    [get(begin), get(show)]
}

/// The response for a page that does not exist: a page for browsers, the documented JSON for everyone else.
fn missing(headers: &HeaderMap) -> Response {
    let page = wants_html(headers).then(|| answer(MISSING)).flatten();
    let mut response = match page {
        Some(page) => (StatusCode::NOT_FOUND, page).into_response(),
        None => Failure::no_path().into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Whether the client asks for HTML by name, as browsers do when they open an address.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds =
        accepted.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or_default());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

/// A file of the book.
fn answer(name: &str) -> Option<Response> {
    let (_, text) = names::FILES.iter().find(|(file, _)| *file == name)?;
    let (kind, policy) = match name.rsplit_once('.') {
        Some((_, "css")) => (CSS, POLICY),
        Some((_, "svg")) => (SVG, POLICY_OF_PICTURES),
        _ => (HTML, POLICY),
    };
    Some(([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)], *text).into_response())
}

#[cfg(test)]
mod tests;
