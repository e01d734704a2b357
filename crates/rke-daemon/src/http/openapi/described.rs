//! Builds the description of one operation: parameters, body and responses. The responses that every request may
//! get are added to each.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::{Response, ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Ref, RefOr, Required};

use super::content::{JSON, RAW, header};
use super::{Part, errors};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// The description of an operation.
pub(in crate::http) struct Described {
    operation: OperationBuilder,
    body: Option<RequestBody>,
    success: ResponseBuilder,
    failures: BTreeMap<u16, RefOr<Response>>,
    schemas: Schemas,
}

impl Described {
    /// Starts the description of an operation with its id, a short summary and a longer text.
    pub(super) fn new(part: Part, id: &str, summary: &str, description: &str) -> Self {
        let operation = OperationBuilder::new()
            .tag(part.name())
            .operation_id(Some(id))
            .summary(Some(summary))
            .description(Some(description));
        let failures = errors::names().map(|(name, code)| (code, Ref::from_response_name(name).into()));
        Self {
            operation,
            body: None,
            success: ResponseBuilder::new(),
            failures: failures.collect(),
            schemas: Vec::new(),
        }
    }

    pub(super) fn takes(mut self, parameter: impl Into<Parameter>) -> Self {
        self.operation = self.operation.parameter(parameter);
        self
    }

    /// Adds a JSON body.
    pub(super) fn takes_json<T: ToSchema>(mut self, example: &str) -> Self {
        let content = self.json::<T>(example);
        self.body.get_or_insert_with(body).content.insert(JSON.into(), RefOr::T(content));
        self
    }

    /// Adds a body that is the data itself.
    pub(super) fn takes_raw(mut self, example: Option<&str>) -> Self {
        let content = ContentBuilder::new().schema(Some(raw())).example(example.map(Value::from)).build();
        self.body.get_or_insert_with(body).content.insert(RAW.into(), RefOr::T(content));
        self
    }

    /// Sets the response of a success, in JSON.
    pub(super) fn gives<T: ToSchema>(mut self, description: &str, example: &str) -> Self {
        let content = self.json::<T>(example);
        self.success = self.success.description(description).content(JSON, content);
        self
    }

    /// Sets the response of a success, as text of this kind and form.
    pub(super) fn gives_text(
        mut self,
        description: &str,
        kind: &str,
        form: ObjectBuilder,
        example: &str,
    ) -> Self {
        let content = ContentBuilder::new().schema(Some(form)).example(Some(example.into())).build();
        self.success = self.success.description(description).content(kind, content);
        self
    }

    /// Sets the response of a success, as raw data.
    pub(super) fn gives_raw(mut self, description: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(raw())).build();
        self.success = self.success.description(description).content(RAW, content);
        self
    }

    /// Adds a header to that response.
    pub(super) fn with_header(mut self, name: &str, description: &str, pattern: &str) -> Self {
        self.success = self.success.header(name, header(description, pattern));
        self
    }

    /// Adds an operation that can follow. `parameters` are its parameters, each with the place of its value in this
    /// response.
    pub(super) fn leads_to(mut self, id: &str, parameters: &[(&str, &str)]) -> Self {
        let link = parameters
            .iter()
            .fold(LinkBuilder::new().operation_id(id), |link, (name, place)| link.parameter(*name, *place));
        self.success = self.success.link(id, link.build());
        self
    }

    /// Adds an operation with a body that can follow. The texts in the body that begin with `$` are places.
    pub(super) fn leads_to_body(mut self, id: &str, body: Value) -> Self {
        let link = LinkBuilder::new().operation_id(id).request_body(Some(body));
        self.success = self.success.link(id, link.build());
        self
    }

    /// Adds an error of this operation. It replaces the error that every request may get with that code, so its
    /// description includes that one.
    pub(super) fn fails(mut self, code: u16, description: &str, example: Option<&str>) -> Self {
        let failure = errors::response(code, &with_common(code, description), example);
        self.failures.insert(code, failure.into());
        self
    }

    /// An error that passes: its header says when.
    pub(super) fn fails_for_now(mut self, code: u16, description: &str, example: Option<&str>) -> Self {
        let mut failure = errors::response(code, &with_common(code, description), example);
        let seconds = header("Seconds to wait before trying again.", "^[0-9]+$");
        failure.headers.insert("Retry-After".into(), seconds.into());
        self.failures.insert(code, failure.into());
        self
    }

    /// States that it waits, with `--store`, for the store that other machines share.
    pub(super) fn needs_store(self) -> Self {
        let description = "With `--store`: the store that other machines share cannot be reached, has a new primary, or was not clear \
                           about the session in time. A deletion goes on in the background.";
        let example = r#"{"error":true,"message":"The store cannot be used at the moment: the connection was lost, or no response came in time. Try again in a few seconds","code":503}"#;
        self.fails_for_now(503, description, Some(example))
    }

    /// States that no token is needed.
    pub(super) fn for_everybody(mut self) -> Self {
        self.operation = self.operation.securities(Some([SecurityRequirement::default()]));
        self.failures.remove(&401);
        self
    }

    /// The operation, and the schemas that it refers to.
    pub(super) fn into_parts(self) -> (Operation, Schemas) {
        let failures = self.failures.into_iter().map(|(code, failure)| (code.to_string(), failure));
        let responses =
            ResponsesBuilder::new().response("200", self.success.build()).responses_from_iter(failures);
        (self.operation.request_body(self.body).responses(responses.build()).build(), self.schemas)
    }

    fn json<T: ToSchema>(&mut self, example: &str) -> Content {
        let name = T::name();
        T::schemas(&mut self.schemas);
        self.schemas.push((name.to_string(), T::schema()));
        let schema = Ref::from_schema_name(name.as_ref());
        ContentBuilder::new().schema(Some(schema)).example(serde_json::from_str(example).ok()).build()
    }
}

/// The description of an error, with what every request may be answered with that code.
fn with_common(code: u16, description: &str) -> String {
    let also = errors::also(code).map_or(String::new(), |also| format!(" Or, as for every request: {also}"));
    format!("{description}{also}")
}

fn body() -> RequestBody {
    RequestBody::builder().required(Some(Required::True)).build()
}

/// Bytes.
fn raw() -> Schema {
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
}
