//! The OpenAPI document: made from the table of paths, the types of the answers and the descriptions
//! that stand here. `docs/openapi.json` is a copy that a test compares.

pub(super) mod describe;
mod described;
mod errors;
mod examples;
mod parameters;
pub(super) mod texts;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server};

pub(super) use self::described::Described;
use super::table::Row;

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

/// The document as it is answered. It is written when somebody asks for it: most daemons never need it, and it
/// takes a megabyte to make.
#[derive(Clone, Default)]
pub(super) struct Document(Arc<Parts>);

#[derive(Default)]
struct Parts {
    /// The operations, when all paths are known, its own among them.
    table: OnceLock<Vec<Row>>,
    text: OnceLock<Bytes>,
}

impl Document {
    /// Says which operations it is about, once.
    pub(super) fn describe(&self, table: Vec<Row>) {
        self.0.table.get_or_init(|| table);
    }

    fn text(&self) -> Bytes {
        let write = || {
            // There is nothing in it that JSON cannot hold.
            let table = self.0.table.get().map_or(&[][..], Vec::as_slice);
            let mut text = assemble(table).to_pretty_json().unwrap_or_default();
            text.push('\n');
            text.into()
        };
        self.0.text.get_or_init(write).clone()
    }
}

pub(super) async fn show(State(document): State<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document.text())
}

fn assemble(table: &[Row]) -> OpenApi {
    let (mut paths, mut schemas) = (Paths::new(), BTreeMap::from([errors::schema()]));
    for Row { path, method, describe } in table {
        let (operation, more) = describe().into_parts();
        paths.add_path_operation(*path, vec![method.clone()], operation);
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
