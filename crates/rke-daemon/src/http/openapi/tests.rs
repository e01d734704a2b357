use super::*;
use crate::http::api::document::DOCUMENT;
use crate::http::policy::Verb;
use crate::http::routes::TABLE;

/// `cargo xtask openapi` sets this. Then the test writes the document and does not compare it.
const RENEW: &str = "RKE_RENEW_OPENAPI";

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Read | Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Delete => HttpMethod::Delete,
    }
}

#[test]
fn the_document_is_that_of_the_tables() {
    let rows = TABLE.iter().map(|route| (method(route.row.verb), route.row.path, route.describe));
    let mut text = assemble(rows).to_pretty_json().expect("JSON");
    text.push('\n');
    if std::env::var_os(RENEW).is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        return std::fs::write(file, text).expect("written");
    }
    assert!(text == DOCUMENT, "docs/openapi.json is another document; renew it with: cargo xtask openapi");
}
