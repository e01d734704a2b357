//! The console and the reference: pages and what belongs to them, from inside the program. They hold
//! nothing of the daemon's; all that they show they ask the API for, as every other page has to.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

/// A page loads and asks this daemon only, runs no script and no style that stands in it, is shown
/// in no frame, and cannot turn text into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file: where it is, what it is, and its text.
pub(super) struct File(&'static str, &'static str, &'static str);

macro_rules! file {
    ($place:literal, $folder:literal, $name:literal, $kind:expr) => {
        File(concat!($place, $name), $kind, include_str!(concat!("../../", $folder, "/", $name)))
    };
}

/// All of them.
pub(super) const FILES: [File; 26] = [
    File("/", HTML, include_str!("../../console/index.html")),
    file!("/console/", "console", "console.css", CSS),
    file!("/console/", "console", "icon.svg", SVG),
    file!("/console/", "console", "api.js", JS),
    file!("/console/", "console", "confirm.js", JS),
    file!("/console/", "console", "connection.js", JS),
    file!("/console/", "console", "create.js", JS),
    file!("/console/", "console", "dom.js", JS),
    file!("/console/", "console", "failures.js", JS),
    file!("/console/", "console", "keys.js", JS),
    file!("/console/", "console", "main.js", JS),
    file!("/console/", "console", "protection.js", JS),
    file!("/console/", "console", "raidas.js", JS),
    file!("/console/", "console", "ring.js", JS),
    file!("/console/", "console", "sessions.js", JS),
    file!("/console/", "console", "snippets.js", JS),
    file!("/console/", "console", "tryit.js", JS),
    file!("/console/", "console", "words.js", JS),
    File("/docs", HTML, include_str!("../../reference/index.html")),
    file!("/docs/", "reference", "main.js", JS),
    file!("/docs/", "reference", "operation.js", JS),
    file!("/docs/", "reference", "prose.js", JS),
    file!("/docs/", "reference", "reference.css", CSS),
    file!("/docs/", "reference", "request.js", JS),
    file!("/docs/", "reference", "schema.js", JS),
    file!("/docs/", "reference", "tryit.js", JS),
];

/// Whether a path is one of these files: they are given out without a token, for the page to be able to
/// ask for one.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|file| file.0 == path)
}

impl File {
    pub(super) fn path(&self) -> &'static str {
        self.0
    }

    pub(super) fn answer(&self) -> impl IntoResponse {
        let headers = [
            (header::CONTENT_TYPE, self.1),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (headers, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folders_is_served_and_none_of_them_stands_in_markup() {
        for (folder, page, place) in [("console", "/", "/console/"), ("reference", "/docs", "/docs/")] {
            let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
            for file in std::fs::read_dir(folder).expect("the folder") {
                let name = file.expect("a file").file_name().into_string().expect("UTF-8");
                let path = if name == "index.html" { page.into() } else { format!("{place}{name}") };
                assert!(has(&path), "{name} is not served");
            }
        }
        for File(path, kind, text) in &FILES {
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(forbidden), "{forbidden} in {path}");
            }
            for forbidden in ["<style", "style=", "onclick=", "javascript:", "http://", "https://"] {
                assert!(*kind != HTML || !text.contains(forbidden), "{forbidden} in {path}");
            }
        }
    }
}
