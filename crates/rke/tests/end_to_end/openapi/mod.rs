//! The OpenAPI document against the daemon: the copy of it in `docs`, its own soundness, each of its examples, and
//! the page that shows it.

mod document;
pub(crate) mod errors;
mod examples;
mod page;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::support::get;

/// The methods of operations.
const METHODS: [&str; 3] = ["get", "post", "delete"];

pub(crate) struct Document(Value);

/// An operation of the document, with its path and method.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    is: &'a Value,
}

impl Document {
    /// The document that a daemon serves.
    async fn of(daemon: SocketAddr) -> Self {
        Self(get(daemon, "/openapi.json").await.json())
    }

    /// The copy in `docs`.
    pub(crate) fn copy() -> Self {
        let text = fs::read_to_string(path_of_copy()).expect("docs/openapi.json");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn operations(&self) -> Vec<Operation<'_>> {
        let mut all = Vec::new();
        for (path, item) in self.0["paths"].as_object().expect("paths") {
            let here = METHODS.iter().filter(|method| item.get(method).is_some());
            all.extend(here.map(|method| Operation { path, method, is: &item[method] }));
        }
        all
    }

    /// The target of a reference. Everything else stands for itself.
    fn resolve<'a>(&'a self, thing: &'a Value) -> &'a Value {
        let Some(reference) = thing["$ref"].as_str() else { return thing };
        let place = reference.strip_prefix('#').expect("a reference into the document");
        self.0.pointer(place).unwrap_or_else(|| panic!("{reference} is nowhere"))
    }

    /// A validator for a schema. It also rejects fields that the schema does not have.
    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = closed(schema);
        whole["components"] = json!({"schemas": closed_map(&self.0["components"]["schemas"])});
        jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap_or_else(|error| panic!("{error}: {whole}"))
    }

    /// Fails if a value does not match a schema.
    fn check(&self, schema: &Value, value: &Value, what: &str) {
        let validator = self.validator(schema);
        let wrong: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert_eq!(wrong, [""; 0], "{what}: {value:.2000}");
    }

    /// Fails if a value is not an error as the document describes them.
    pub(crate) fn check_error(&self, value: &Value) {
        self.check(&json!({"$ref": "#/components/schemas/Error"}), value, "an error");
    }
}

/// The path of the copy.
fn path_of_copy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

/// A schema that allows only the fields that it names. The parts of `allOf` stay open, because each of them has
/// only some of the fields.
fn closed(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let mut closed: Map<String, Value> = fields.clone();
    for (name, value) in &mut closed {
        match name.as_str() {
            "items" => *value = self::closed(value),
            "properties" => *value = closed_map(value),
            "oneOf" | "anyOf" => {
                *value = value.as_array().expect("a list").iter().map(self::closed).collect();
            }
            _ => (),
        }
    }
    if ["$ref", "properties", "allOf"].iter().any(|name| fields.contains_key(*name)) {
        closed.insert("unevaluatedProperties".into(), json!(false));
    }
    Value::Object(closed)
}

/// Closes each of several schemas inside only: whatever refers to them closes them.
fn closed_map(schemas: &Value) -> Value {
    let closed_inside = |(name, schema): (&String, &Value)| {
        let mut closed = closed(schema);
        if let Some(fields) = closed.as_object_mut().filter(|_| schema.get("$ref").is_none()) {
            fields.remove("unevaluatedProperties");
        }
        (name.clone(), closed)
    };
    schemas.as_object().expect("schemas").iter().map(closed_inside).collect()
}
