//! Keys that leave a program. The scanner gets them, so it knows them.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::daemon::Api;

/// The label that the scanned programs allow.
pub(crate) const LABEL: &str = "scan";

/// Exports a key of a session.
pub(crate) fn export(api: Api, id: &str) -> Result<Vec<u8>> {
    let body = json!({"session_id": id, "label": LABEL, "context": "AAEC", "length": 48}).to_string();
    let head = api.head("POST", "export");
    let length = body.len();
    let request = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    decoded(&ask(api, &request)?["key"])
}

fn decoded(key: &Value) -> Result<Vec<u8>> {
    Ok(STANDARD.decode(key.as_str().context("no key")?)?)
}

fn ask(api: Api, request: &str) -> Result<Value> {
    let mut stream = api.connect()?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{body}");
    Ok(serde_json::from_str(body)?)
}
