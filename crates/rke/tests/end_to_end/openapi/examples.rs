//! Sends each example of the document to a daemon on a local network, and compares the response with the document.
//! Values that only a running network has replace those of the examples.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Response};
use rke_host::exports::ExportLabels;
use serde_json::{Value, json};

use super::{Document, Operation};
use crate::etsi::share_keys;
use crate::guardians::agreeing;
use crate::support::{DOMAIN, PATIENCE, Stage, percent, request};
use crate::wire::{finish, post_json, send};

const SESSION: &str = "a1b2c3d4e5f67890a1b2c3d4e5f67890";
const JSON: &str = "application/json";

/// A request from an example.
#[derive(Default)]
struct Example {
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// The values of the examples, and the real values to replace them with.
struct Values(Vec<(String, String)>);

impl Values {
    /// The values of a session that is open now.
    async fn of(stage: &Stage, document: &Document) -> Self {
        let id = stage.create_id().await;
        let request =
            json!({"session_id": id, "plaintext": "SGVsbG8gV29ybGQh", "associated_data": "aW52b2ljZSAxNw=="});
        let sealed = post_json(stage.daemon.address(), "seal", &request).await.json();
        let example =
            &document.0["paths"]["/api/rke/open"]["post"]["requestBody"]["content"][JSON]["example"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self(vec![
            (text(&example["sealed"]), text(&sealed["sealed"])),
            (SESSION.into(), id),
            ("content.example.com".into(), DOMAIN.into()),
            ("/home/alice/wallet".into(), stage.network.wallet().display().to_string()),
        ])
    }

    fn put_into(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (example, value)| text.replace(example, value))
    }
}

/// The requests of an operation: one for each example of its body, or a single one without a body.
fn requests(document: &Document, operation: &Operation<'_>, values: &Values) -> Vec<Example> {
    let Some(content) = operation.is["requestBody"]["content"].as_object() else {
        return vec![with_parameters(document, operation, values, false)];
    };
    let with_example = content.iter().filter(|(_, media)| !media["example"].is_null());
    let request = |(kind, media): (&String, &Value)| {
        let mut request = with_parameters(document, operation, values, kind != JSON);
        request.headers.push(("content-type".into(), kind.clone()));
        let example = &media["example"];
        let text = example.as_str().map_or_else(|| example.to_string(), ToOwned::to_owned);
        request.body = values.put_into(&text);
        request
    };
    with_example.map(request).collect()
}

/// A request with the examples of all parameters. Parameters in headers are only for raw data.
fn with_parameters(
    document: &Document,
    operation: &Operation<'_>,
    values: &Values,
    with_headers: bool,
) -> Example {
    let (mut path, mut query, mut headers) = (operation.path.to_owned(), Vec::new(), Vec::new());
    for parameter in operation.is["parameters"].as_array().into_iter().flatten() {
        let Some(example) = parameter["example"].as_str() else { continue };
        let (name, value) = (parameter["name"].as_str().expect("a name"), values.put_into(example));
        document.check(&parameter["schema"], &json!(value), name);
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
            Some("query") => query.push(format!("{name}={}", percent(&value))),
            _ if with_headers => headers.push((name.to_owned(), value)),
            _ => (),
        }
    }
    let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    Example { target, headers, body: String::new() }
}

/// The names of all fields, in their order. A list is represented by its first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect(),
        Value::Array(items) => items.first().map_or(json!("list"), shape),
        _ => json!(""),
    }
}

/// Checks that a response is as the document promises.
async fn look_at(document: &Document, operation: &Operation<'_>, response: Response<Incoming>) {
    let what = format!("{} {}", operation.method, operation.path);
    let answer = &operation.is["responses"]["200"];
    let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
    let kind = kind.split(';').next().unwrap_or_default();
    let media = &answer["content"][kind];
    assert!(response.status() == 200 && media.is_object(), "{what}: {response:?}");
    assert!(response.headers().contains_key("x-request-id"), "{what}");
    check_headers(document, answer, response.headers(), kind, &what);
    if kind == "text/event-stream" {
        return check_events(document, media, response).await;
    }
    let body = finish(response).await;
    assert!(body.is_whole && !body.body.is_empty(), "{what}");
    if kind == JSON {
        let json = body.json();
        document.check(&media["schema"], &json, &what);
        let openapi = operation.path == "/openapi.json";
        let (is, said) = (shape(&json).to_string(), shape(&media["example"]).to_string());
        assert!(openapi || is == said, "{what} has other fields, or in another order:\n{is}\n{said}");
        assert_eq!(json["command"], media["example"]["command"], "{what}");
    }
}

fn check_headers(document: &Document, answer: &Value, headers: &HeaderMap, kind: &str, what: &str) {
    for (name, header) in answer["headers"].as_object().into_iter().flatten() {
        let value = headers.get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(value.is_some(), kind != JSON, "{what}: {name}");
        if let Some(value) = value {
            document.check(&header["schema"], &json!(value), name);
        }
    }
}

/// Checks the first four events, which arrive at once.
async fn check_events(document: &Document, media: &Value, mut response: Response<Incoming>) {
    let mut text = String::new();
    while text.matches("\n\n").count() < 4 {
        let frame = tokio::time::timeout(PATIENCE, response.frame()).await;
        let frame = frame.expect("in time").expect("more").expect("a frame");
        text += &String::from_utf8_lossy(&frame.into_data().expect("data"));
    }
    for event in text.split_terminator("\n\n") {
        let fields = event.lines().filter_map(|line| line.split_once(": "));
        let event: Value = fields.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        document.check(&media["schema"], &event, "an event");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_the_document_says() {
    let guardians = agreeing().await;
    let stage = Stage::with(|config| {
        config.reloadable.max_sessions = 64;
        config.reloadable.guardians = guardians.settings();
        config.reloadable.allow_export = ExportLabels::new(vec!["wireguard".into()]);
    });
    let mut stage = stage.await;
    share_keys(&mut stage).await;
    guardians.until_asked(stage.daemon.address()).await;
    let document = Document::of(stage.daemon.address()).await;
    // This request is refused, so that the list of refusals is not empty.
    request(stage.daemon.address(), "PUT", "/api/rke/status").await;
    let mut sent = 0;
    for operation in document.operations() {
        // The previous example may have ended all sessions and removed all keys.
        let values = Values::of(&stage, &document).await;
        for example in requests(&document, &operation, &values) {
            let headers: Vec<(&str, &str)> =
                example.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let (method, body) = (operation.method.to_uppercase(), Full::new(Bytes::from(example.body)));
            let response = send(stage.daemon.address(), &method, &example.target, &headers, body).await;
            look_at(&document, &operation, response.expect("an answer")).await;
            sent += 1;
        }
    }
    assert!(sent > document.operations().len(), "{sent}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_example_has_encrypted_the_links_decrypt() {
    let stage = Stage::new().await;
    let address = stage.daemon.address();
    let document = Document::of(address).await;
    let id = stage.create_id().await;
    for (from, to, data) in [("encrypt", "decrypt_by_post", "plaintext"), ("seal", "open", "plaintext")] {
        let post = &document.0["paths"][format!("/api/rke/{from}")]["post"];
        let mut request = post["requestBody"]["content"][JSON]["example"].clone();
        request["session_id"] = json!(id);
        let answer = post_json(address, from, &request).await.json();
        let link = &post["responses"]["200"]["links"][to];
        let linked = link["requestBody"].as_object().expect("a body").iter().map(|(name, place)| {
            let place = place.as_str().expect("a place");
            let value = match place.split_once('#').expect("a place") {
                ("$request.body", pointer) => request.pointer(pointer),
                (_, pointer) => answer.pointer(pointer),
            };
            (name.clone(), value.unwrap_or_else(|| panic!("nothing at {place}")).clone())
        });
        let linked: Value = linked.collect();
        let back = post_json(address, to.trim_end_matches("_by_post"), &linked).await;
        assert_eq!(back.field(data), STANDARD.decode("SGVsbG8gV29ybGQh").expect("Base64"), "{from}");
    }
    stage.stop().await;
}
