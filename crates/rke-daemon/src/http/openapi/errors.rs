//! Error responses in the document: their one schema, and those that every request may get.

use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use super::content::{JSON, header};

const NAME: &str = "Error";

/// An error that every request may get.
struct Common {
    name: &'static str,
    code: u16,
    description: &'static str,
    example: &'static str,
}

const COMMON: [Common; 10] = [
    Common {
        name: "Malformed",
        code: 400,
        description: "The request is not valid HTTP, has no `Host` header, or two of them.",
        example: r#"{"error":true,"message":"The request is not valid HTTP/1.1","code":400}"#,
    },
    Common {
        name: "TokenWanted",
        code: 401,
        description: "The daemon runs with `--require-token`, and the request has no token or a wrong one.",
        example: r#"{"error":true,"message":"This daemon requires its access token: send `Authorization: Bearer TOKEN` with the content of the file `token` in its data directory; for rke's own commands, name the file with --token-file","code":401}"#,
    },
    Common {
        name: "NotLetIn",
        code: 403,
        description: "The request's `Origin` is not allowed, or a page of another site sent the request by other means than a \
                      CORS `fetch`.",
        example: r#"{"error":true,"message":"Pages of this origin may not use this daemon; start it with --allow-origin ORIGIN if they should","code":403}"#,
    },
    Common {
        name: "TooSlow",
        code: 408,
        description: "The headers took more than 10 seconds, or the body stalled for 60 seconds.",
        example: r#"{"error":true,"message":"The request did not arrive in time","code":408}"#,
    },
    Common {
        name: "BodyTooLarge",
        code: 413,
        description: "The body is over 64 KiB.",
        example: r#"{"error":true,"message":"The request's body is over 64 KiB","code":413}"#,
    },
    Common {
        name: "UriTooLong",
        code: 414,
        description: "The URI is over 48 KiB.",
        example: r#"{"error":true,"message":"The request's URI is over 48 KiB","code":414}"#,
    },
    Common {
        name: "Encoded",
        code: 415,
        description: "The body has a `Content-Encoding`.",
        example: r#"{"error":true,"message":"Bodies are not decoded: send this one as it is, without the header Content-Encoding","code":415}"#,
    },
    Common {
        name: "WrongHost",
        code: 421,
        description: "The `Host` is neither `localhost`, nor a loopback address, nor a name given with `--allow-host`.",
        example: r#"{"error":true,"message":"This daemon does not answer to the request's Host; start it with --allow-host NAME if it should","code":421}"#,
    },
    Common {
        name: "HeadersTooLarge",
        code: 431,
        description: "There are over 64 headers, or over 16 KiB of them.",
        example: r#"{"error":true,"message":"The request has over 64 headers or over 16 KiB of them","code":431}"#,
    },
    Common {
        name: "Internal",
        code: 500,
        description: "Something went wrong in the daemon. Its log says more.",
        example: r#"{"error":true,"message":"Internal error; the log says more","code":500}"#,
    },
];

/// The errors that every request may get, by name.
pub(super) fn of_every_request() -> impl IntoIterator<Item = (&'static str, Response)> {
    COMMON.iter().map(|common| (common.name, response(common.code, common.description, Some(common.example))))
}

/// The name and code of each of them.
pub(super) fn names() -> impl Iterator<Item = (&'static str, u16)> {
    COMMON.iter().map(|common| (common.name, common.code))
}

/// The description of the error that every request may get with this code.
pub(super) fn also(code: u16) -> Option<&'static str> {
    COMMON.iter().find(|common| common.code == code).map(|common| common.description)
}

/// An error response.
pub(super) fn response(code: u16, description: &str, example: Option<&str>) -> Response {
    let example = example.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(NAME))).example(example);
    let response = ResponseBuilder::new().description(description).content(JSON, content.build());
    let response = match code {
        401 => response.header("WWW-Authenticate", header("`Bearer`.", "^Bearer ")),
        _ => response,
    };
    response.build()
}

/// The schema of every error, with its name.
pub(super) fn schema() -> (String, RefOr<Schema>) {
    let code =
        kind(Type::Integer, "The same number as the HTTP status.").minimum(Some(400)).maximum(Some(599));
    let about =
        "The form of every error. The fields after `code` are present only if the error is about them.";
    let schema = ObjectBuilder::new()
        .description(Some(about))
        .property("error", kind(Type::Boolean, "Always `true`.").enum_values(Some([true])))
        .property("message", text("What is wrong, for people to read."))
        .property("code", code)
        .property("session_id", text("The id of the requested session, as it was given."))
        .property("domain", text("The domain that the error is about."))
        .property("wallet_path", text("The wallet that the error is about."))
        .property("answered", list(raida(), "Indexes of the RAIDAs that gave a share."))
        .property("faults", list(fault(), "The RAIDAs that gave none, and why."))
        .property("reasons", list(text("One reason."), "What keeps the daemon from being ready."))
        .required("error")
        .required("message")
        .required("code");
    (NAME.to_owned(), RefOr::T(schema.into()))
}

fn kind(kind: Type, about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind).description(Some(about))
}

fn text(about: &str) -> ObjectBuilder {
    kind(Type::String, about)
}

fn list(items: ObjectBuilder, about: &str) -> ArrayBuilder {
    ArrayBuilder::new().items(items).description(Some(about))
}

fn raida() -> ObjectBuilder {
    kind(Type::Integer, "Index of a RAIDA.").minimum(Some(0)).maximum(Some(24))
}

fn fault() -> ObjectBuilder {
    let fault =
        ObjectBuilder::new().property("raida", raida()).property("fault", text("Why, for people to read."));
    fault.required("raida").required("fault")
}
