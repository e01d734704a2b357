//! The OpenAPI document. A test makes it from the table of routes, the types of the responses and the descriptions
//! in this module, and compares it with `docs/openapi.json`. The program contains only that file: this module would
//! be a twentieth of the program.

mod content;
pub(super) mod describe;
mod described;
mod errors;
mod examples;
mod parameters;

use std::collections::BTreeMap;

use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{HttpMethod, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server};

pub(super) use self::described::Described;

/// Name of the token among the security schemes.
const TOKEN: &str = "token";

/// Describes the whole API briefly. `docs/api.md` describes it in full.
const ABOUT: &str = "\
The daemon opens, uses and ends RKE sessions for local applications.

Responses are JSON, except for raw data where it was requested. Fields come in the order that is shown here; later versions may \
add others after them. Times are UTC in RFC 3339 form, to the second.

An error always has `error`, `message` and `code`, and may have the parameter that it is about, in the form of the \
schema `Error`.

Query parameters may be percent-encoded or form-encoded. A parameter that is required but missing or empty, or that is given \
twice, is not UTF-8 or contains a NUL byte, is a 400 that names it.

Every response has a header `X-Request-Id`, which identifies the request in the daemon's log.

HEAD works where GET changes nothing, and OPTIONS on every path. Any other method is a 405, whose header `Allow` lists the allowed ones.

Before the daemon looks anything up, it checks a request's size, `Host`, `Origin`, `Sec-Fetch-Site`, token and rate. A daemon \
that runs with `--require-token` requires the token for everything except `/health/…` and the files of the console and of \
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
            Self::Sessions => "Open, list, renew and end sessions.",
            Self::Data => "Use a session's key: encrypt, decrypt, seal, open, talk to the Content Server.",
            Self::Keys => "The keys that are cached for later sessions.",
            Self::Network => "What DNS says about a domain, and the state of the RAIDAs.",
            Self::Daemon => "The state of the daemon, and this document.",
        }
    }
}

/// Describes an operation.
pub(super) type Describe = fn() -> Described;

fn assemble(table: impl Iterator<Item = (HttpMethod, &'static str, Describe)>) -> OpenApi {
    let (mut paths, mut schemas) = (Paths::new(), BTreeMap::from([errors::schema()]));
    for (method, path, describe) in table {
        let (operation, more) = describe().into_parts();
        paths.add_path_operation(path, vec![method], operation);
        schemas.extend(more);
    }
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "Only where the daemon was started with `--require-token` or `--shared-token`: send `Authorization: Bearer TOKEN`, \
         where TOKEN is the content of the file `token` in the daemon's data directory, which is new at each start, or of the \
         file that `--shared-token` names.",
    ));
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
mod tests;
