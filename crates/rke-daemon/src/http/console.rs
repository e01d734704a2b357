//! The console: a page and what belongs to it, from inside the program. It holds nothing of the
//! daemon's; all that it shows it asks the API for, as every other page has to.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use super::reads;

/// The page loads and asks this daemon only, runs no script and no style that stands in it, is shown
/// in no frame, and cannot turn text into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the console: where it is, what it is, and its text.
struct Asset(&'static str, &'static str, &'static str);

macro_rules! file {
    ($name:literal, $kind:expr) => {
        Asset(concat!("/console/", $name), $kind, include_str!(concat!("../../console/", $name)))
    };
}

const ASSETS: [Asset; 18] = [
    Asset("/", HTML, include_str!("../../console/index.html")),
    file!("console.css", CSS),
    file!("icon.svg", SVG),
    file!("api.js", JS),
    file!("confirm.js", JS),
    file!("connection.js", JS),
    file!("create.js", JS),
    file!("dom.js", JS),
    file!("failures.js", JS),
    file!("keys.js", JS),
    file!("main.js", JS),
    file!("protection.js", JS),
    file!("raidas.js", JS),
    file!("ring.js", JS),
    file!("sessions.js", JS),
    file!("snippets.js", JS),
    file!("tryit.js", JS),
    file!("words.js", JS),
];

/// A route for each file.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let route = |router: Router<S>, asset: &'static Asset| {
        router.route(asset.0, reads(move || async { asset.answer() }))
    };
    ASSETS.iter().fold(Router::new(), route)
}

/// Whether a path is one of the console's files: those are given out without a token, for the page
/// to be able to ask for one.
pub(super) fn has(path: &str) -> bool {
    ASSETS.iter().any(|asset| asset.0 == path)
}

impl Asset {
    fn answer(&self) -> impl IntoResponse {
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
    fn every_file_of_the_folder_is_served_and_none_of_them_stands_in_markup() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/console");
        for file in std::fs::read_dir(folder).expect("the folder") {
            let name = file.expect("a file").file_name().into_string().expect("UTF-8");
            let path = if name == "index.html" { "/".into() } else { format!("/console/{name}") };
            assert!(has(&path), "{name} is not served");
        }
        let page = ASSETS[0].2;
        for forbidden in ["<style", "style=", "onclick=", "javascript:", "http://", "https://"] {
            assert!(!page.contains(forbidden), "{forbidden} in the page");
        }
        for Asset(path, _, text) in &ASSETS {
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(forbidden), "{forbidden} in {path}");
            }
        }
    }
}
