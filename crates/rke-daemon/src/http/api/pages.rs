//! The console and the reference: pages and what belongs to them, from inside the program. They hold
//! nothing of the daemon's; all that they show they ask the API for, as every other page has to.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use crate::http::gate::Attempt;
use crate::http::routes::{Answer, Audience, BodyRule, Cost, LogWeight, Policy, Route, Verb};

/// A page loads and asks this daemon only, runs no script and no style that stands in it, is shown
/// in no frame, and cannot turn text into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file: what it is, and its text.
#[derive(Clone, Copy)]
pub(in crate::http) struct File(&'static str, &'static str);

/// What holds for all files: they are given out without a token, for the page to be able to ask for one.
const POLICY_OF_FILES: Policy = Policy {
    body: BodyRule::Small,
    weight: LogWeight::Use,
    cost: Cost::Free,
    attempt: Attempt::Read,
    audience: Audience::Everybody,
};

/// The route of a file.
const fn file(path: &'static str, kind: &'static str, text: &'static str) -> Route {
    Route {
        verb: Verb::Read,
        path,
        policy: POLICY_OF_FILES,
        answer: Answer::File(File(kind, text)),
        #[cfg(test)]
        describe: None,
    }
}

macro_rules! file {
    ($place:literal, $folder:literal, $name:literal, $kind:expr) => {
        file(concat!($place, $name), $kind, include_str!(concat!("../../../", $folder, "/", $name)))
    };
}

/// The routes of all of them.
pub(in crate::http) static FILES: [Route; 26] = [
    file("/", HTML, include_str!("../../../console/index.html")),
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
    file("/docs", HTML, include_str!("../../../reference/index.html")),
    file!("/docs/", "reference", "main.js", JS),
    file!("/docs/", "reference", "operation.js", JS),
    file!("/docs/", "reference", "prose.js", JS),
    file!("/docs/", "reference", "reference.css", CSS),
    file!("/docs/", "reference", "request.js", JS),
    file!("/docs/", "reference", "schema.js", JS),
    file!("/docs/", "reference", "tryit.js", JS),
];

impl File {
    pub(in crate::http) fn answer(self) -> impl IntoResponse {
        let headers = [
            (header::CONTENT_TYPE, self.0),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (headers, self.1)
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
                assert!(FILES.iter().any(|route| route.path == path), "{name} is not served");
            }
        }
        for Route { path, answer, .. } in &FILES {
            let Answer::File(File(kind, text)) = answer else { panic!("{path} is not a file") };
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(forbidden), "{forbidden} in {path}");
            }
            for forbidden in ["<style", "style=", "onclick=", "javascript:", "http://", "https://"] {
                assert!(*kind != HTML || !text.contains(forbidden), "{forbidden} in {path}");
            }
        }
    }
}
