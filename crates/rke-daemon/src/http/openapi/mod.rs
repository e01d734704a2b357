//! The OpenAPI document. `docs/openapi.json` is part of the program; a test makes it from the table of routes, the
//! types of the answers and the descriptions that stand here, and compares. What makes it is a twentieth of the
//! program where it is part of it too.
#![cfg_attr(not(test), allow(dead_code, reason = "a test puts together what is described here"))]

pub(super) mod describe;
mod described;
mod errors;
mod examples;
mod parameters;
pub(super) mod texts;

use std::collections::BTreeMap;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{HttpMethod, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server};

pub(super) use self::described::Described;

/// Name of the token among the security schemes.
const TOKEN: &str = "token";

/// What holds for all of the API, in short. `docs/api.md` has it at length.
const ABOUT: &str = "\
The daemon opens, uses and ends RKE sessions for local applications.

Answers are JSON, but for raw data where it was asked for. Fields come in the order that is shown here; later \
versions may add others behind them. Times are UTC in RFC 3339 form, to the second.

An error always has `error`, `message` and `code`, and may have the parameter that it is about, in the form of the \
schema `Error`.

Query parameters may be percent-encoded or form-encoded. One that is missing or empty, given twice, not UTF-8 or \
with a NUL byte in it is a 400 that names it.

Every answer has a header `X-Request-Id`, by which the daemon's log names the request.

HEAD works where GET changes nothing, and OPTIONS on every path. Any other method is a 405, whose header `Allow` lists those that there are.

Before anything is looked up, a request is judged by its size, `Host`, `Origin`, `Sec-Fetch-Site`, token and rate. The token \
is needed where the daemon runs with `--require-token`, for all but `/health/…` and the files of the console and of \
`/docs`.";

/// The parts of the API.
#[derive(Clone, Copy)]
enum Part {
    Sessions,
    Data,
    Keys,
    Network,
    Daemon,
}

impl Part {
    const ALL: [Self; 5] = [Self::Sessions, Self::Data, Self::Keys, Self::Network, Self::Daemon];

    fn name(self) -> &'static str {
        match self {
            Self::Sessions => "Sessions",
            Self::Data => "Data",
            Self::Keys => "Keys",
            Self::Network => "Network",
            Self::Daemon => "Daemon",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Sessions => "Sessions are opened, listed, renewed and ended.",
            Self::Data => {
                "What is done with a session's key: encrypt, decrypt, seal, open, talk to the Content Server."
            }
            Self::Keys => "The keys that are cached for later sessions.",
            Self::Network => "What DNS says of a domain, and how the RAIDAs have been doing.",
            Self::Daemon => "How the daemon is doing, and this document.",
        }
    }
}

const DOCUMENT: &str = include_str!("../../../../../docs/openapi.json");

pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

/// What describes an operation.
pub(super) type Describe = fn() -> Described;

fn assemble(table: impl Iterator<Item = (HttpMethod, &'static str, Describe)>) -> OpenApi {
    let (mut paths, mut schemas) = (Paths::new(), BTreeMap::from([errors::schema()]));
    for (method, path, describe) in table {
        let (operation, more) = describe().into_parts();
        paths.add_path_operation(path, vec![method], operation);
        schemas.extend(more);
    }
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The text of the file `token` in the daemon's data directory, new at each start."));
    let components = Components::builder()
        .schemas_from_iter(schemas)
        .responses_from_iter(errors::of_every_request())
        .security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    let tag = |part: Part| TagBuilder::new().name(part.name()).description(Some(part.about())).build();
    OpenApiBuilder::new()
        .info(info())
        .servers(Some([Server::new("/")]))
        .tags(Some(Part::ALL.map(tag)))
        .security(Some([SecurityRequirement::default(), SecurityRequirement::new(TOKEN, [""; 0])]))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn info() -> Info {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    InfoBuilder::new()
        .title("rke")
        .description(Some(ABOUT))
        .license(Some(license.build()))
        .version(env!("CARGO_PKG_VERSION"))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::{Verb, described};

    /// Set by `cargo xtask openapi`: the document is written, not compared.
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
        let rows = described().map(|(route, describe)| (method(route.verb), route.path, describe));
        let mut text = assemble(rows).to_pretty_json().expect("JSON");
        text.push('\n');
        if std::env::var_os(RENEW).is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
            return std::fs::write(file, text).expect("written");
        }
        assert!(
            text == DOCUMENT,
            "docs/openapi.json is another document; renew it with: cargo xtask openapi"
        );
    }
}
