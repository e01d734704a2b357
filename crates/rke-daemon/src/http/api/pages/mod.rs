//! The console, the reference and the book: pages and their files, stored in the program. They contain none of the
//! daemon's data. The console and the reference request everything they show from the API, as any other page has
//! to.

pub(in crate::http) mod book;
pub(in crate::http) mod entrance;

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use crate::http::policy::{Attempt, Audience, BodyRule, Cost, LogWeight, Policy, Row, Verb};

/// A page loads from and connects to this daemon only, runs no inline scripts or styles, cannot be framed, and
/// cannot turn text into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const WOFF2: &str = "font/woff2";
const TXT: &str = "text/plain; charset=utf-8";

/// A file.
pub(in crate::http) struct File {
    /// Its row in the table of routes.
    pub(in crate::http) row: Row,
    kind: &'static str,
    bytes: &'static [u8],
}

/// The policy of all files. They need no token, because the page has to load to request one.
const POLICY_OF_FILES: Policy = Policy {
    body: BodyRule::Small,
    weight: LogWeight::Use,
    cost: Cost::Free,
    attempt: Attempt::Read,
    audience: Audience::Everybody,
};

const fn file(path: &'static str, kind: &'static str, bytes: &'static [u8]) -> File {
    File { row: Row { verb: Verb::Read, path, policy: POLICY_OF_FILES }, kind, bytes }
}

macro_rules! file {
    ($place:literal, $folder:literal, $name:literal, $kind:expr) => {
        file(concat!($place, $name), $kind, include_bytes!(concat!("../../../../", $folder, "/", $name)))
    };
}

/// All files of the console and the reference.
pub(in crate::http) static FILES: [File; 48] = [
    file("/", HTML, include_bytes!("../../../../console/index.html")),
    file!("/console/", "console", "console.css", CSS),
    file!("/console/", "console", "layout.css", CSS),
    file!("/console/", "console", "views.css", CSS),
    file!("/console/", "console", "icon.svg", SVG),
    file!("/console/", "console", "inter-licence.txt", TXT),
    file!("/console/", "console", "inter.woff2", WOFF2),
    file!("/console/", "console", "activity.js", JS),
    file!("/console/", "console", "api.js", JS),
    file!("/console/", "console", "appearance.js", JS),
    file!("/console/", "console", "banners.js", JS),
    file!("/console/", "console", "confirm.js", JS),
    file!("/console/", "console", "connection.js", JS),
    file!("/console/", "console", "create.js", JS),
    file!("/console/", "console", "deleting.js", JS),
    file!("/console/", "console", "detail.js", JS),
    file!("/console/", "console", "dom.js", JS),
    file!("/console/", "console", "failures.js", JS),
    file!("/console/", "console", "gate.js", JS),
    file!("/console/", "console", "keys.js", JS),
    file!("/console/", "console", "languages.js", JS),
    file!("/console/", "console", "listing.js", JS),
    file!("/console/", "console", "main.js", JS),
    file!("/console/", "console", "menu.js", JS),
    file!("/console/", "console", "pager.js", JS),
    file!("/console/", "console", "protection.js", JS),
    file!("/console/", "console", "raidas.js", JS),
    file!("/console/", "console", "receipt.js", JS),
    file!("/console/", "console", "ring.js", JS),
    file!("/console/", "console", "router.js", JS),
    file!("/console/", "console", "samples.js", JS),
    file!("/console/", "console", "sessions.js", JS),
    file!("/console/", "console", "shortcuts.js", JS),
    file!("/console/", "console", "snippets.js", JS),
    file!("/console/", "console", "state.js", JS),
    file!("/console/", "console", "theme.js", JS),
    file!("/console/", "console", "tryit.js", JS),
    file!("/console/", "console", "words.js", JS),
    file("/docs", HTML, include_bytes!("../../../../reference/index.html")),
    file!("/docs/", "reference", "introduction.js", JS),
    file!("/docs/", "reference", "main.js", JS),
    file!("/docs/", "reference", "operation.js", JS),
    file!("/docs/", "reference", "prose.js", JS),
    file!("/docs/", "reference", "reference.css", CSS),
    file!("/docs/", "reference", "request.js", JS),
    file!("/docs/", "reference", "schema.js", JS),
    file!("/docs/", "reference", "search.js", JS),
    file!("/docs/", "reference", "tryit.js", JS),
];

impl File {
    pub(in crate::http) fn answer(&self) -> impl IntoResponse {
        let headers = [
            (header::CONTENT_TYPE, self.kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (headers, self.bytes)
    }
}

#[cfg(test)]
mod tests;
