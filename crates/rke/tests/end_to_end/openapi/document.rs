//! Whether the document is sound, equals the copy in `docs`, and has exactly the paths and methods that exist.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Document, path_of_copy};
use crate::errors;
use crate::support::{Stage, get, request};

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_in_docs_is_the_document() {
    let stage = Stage::new().await;
    let document = get(stage.daemon.address(), "/openapi.json").await.body;
    assert!(document == fs::read_to_string(path_of_copy()).expect("docs/openapi.json"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_have_the_methods_that_the_document_says() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let document = Document::of(stage.daemon.address()).await;
    for (path, item) in document.0["paths"].as_object().expect("paths") {
        let target = path.replace("{id}", &id);
        let options = request(stage.daemon.address(), "OPTIONS", &target).await;
        let allowed: BTreeSet<&str> = options.header("allow").unwrap_or_default().split(", ").collect();
        let more = if allowed.contains("head") { ["head", "options"].as_slice() } else { &["options"] };
        let said = item.as_object().expect("methods").keys().map(String::as_str);
        let said: BTreeSet<&str> = said.chain(more.iter().copied()).collect();
        assert_eq!(allowed, said, "{path}");
    }
    stage.stop().await;
}

/// Calls `look` with each object of a value.
fn for_each_object(value: &Value, look: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(fields) => {
            look(value);
            fields.values().for_each(|field| for_each_object(field, look));
        }
        Value::Array(items) => items.iter().for_each(|item| for_each_object(item, look)),
        _ => (),
    }
}

#[test]
fn operations_are_named_once_and_described_and_references_lead_somewhere() {
    let document = Document::copy();
    assert_eq!(document.0["openapi"], "3.1.0");
    let ids: Vec<&str> =
        document.operations().iter().map(|one| one.is["operationId"].as_str().expect("an id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for operation in document.operations() {
        let is = operation.is;
        let filled = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
        assert!(filled(&is["summary"]) && filled(&is["description"]), "{is}");
        for parameter in is["parameters"].as_array().into_iter().flatten() {
            assert!(filled(&parameter["description"]) && parameter["schema"].is_object(), "{parameter}");
        }
        let codes = is["responses"].as_object().expect("answers").keys();
        let token = if is["security"].is_null() { &["401"][..] } else { &[] };
        let common = ["200", "400", "403", "408", "413", "414", "421", "431", "500"];
        let codes: BTreeSet<&str> = codes.map(String::as_str).collect();
        assert!(common.iter().chain(token).all(|code| codes.contains(code)), "{}: {codes:?}", operation.path);
    }
    for_each_object(&document.0, &mut |object| {
        document.resolve(object);
        if let Some(links) = object["links"].as_object() {
            links.values().for_each(|link| {
                assert!(ids.contains(&link["operationId"].as_str().expect("an id")), "{link}");
            });
        }
    });
}

#[test]
fn every_example_has_the_form_of_its_schema() {
    let document = Document::copy();
    let mut examples = 0;
    for_each_object(&document.0, &mut |object| {
        let (schema, example) = (&object["schema"], &object["example"]);
        // Events are one text, but the schema describes a single event.
        let is_text_of_events = example.as_str().is_some_and(|text| text.starts_with("event: "));
        if !schema.is_null() && !example.is_null() && !is_text_of_events {
            document.check(schema, example, "an example");
            examples += 1;
        }
    });
    assert!(examples > 80, "{examples}");
}

/// Another test looks up the daemon's real errors on the same page.
#[test]
fn every_error_of_the_examples_is_one_of_those_of_the_page_of_errors() {
    let (document, page) = (Document::copy(), errors::page());
    for_each_object(&document.0, &mut |object| {
        if object.get("error").is_some_and(Value::is_boolean) {
            let (code, message) = (object["code"].as_u64(), object["message"].as_str().expect("a message"));
            let said = page.iter().any(|(status, pattern)| {
                code == Some(u64::from(*status)) && errors::matches(pattern, message)
            });
            assert!(said, "docs/errors.md has no {object}");
        }
    });
}

/// Each example of docs/api.md has the fields of an example in the document.
#[test]
fn the_examples_of_the_reference_have_the_fields_of_those_in_the_document() {
    let document = Document::copy();
    let mut known = BTreeSet::new();
    for_each_object(&document.0, &mut |object| {
        known.insert(fields(object));
    });
    let page = fs::read_to_string(path_of_copy().with_file_name("api.md")).expect("docs/api.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let examples: Vec<Value> = blocks.map(|block| serde_json::from_str(block).expect("JSON")).collect();
    assert!(examples.len() > 15, "{examples:?}");
    for example in &examples {
        assert!(known.contains(&fields(example)), "{example}");
    }
}

/// The names of an object's fields in their order, and the command that the object is a response to.
fn fields(object: &Value) -> (Vec<String>, String) {
    let names = object.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    (names, object["command"].as_str().unwrap_or_default().to_owned())
}
