//! Keys that leave a program. The scanner gets them, so it knows them.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::daemon::Api;

/// The label that the scanned programs allow.
pub(crate) const LABEL: &str = "scan";

/// A key that was made by ETSI GS QKD 014.
#[derive(PartialEq, Eq)]
pub(crate) struct EtsiKey {
    pub(crate) id: String,
    pub(crate) key: Vec<u8>,
}

/// Exports a key of a session.
pub(crate) fn export(api: Api, id: &str) -> Result<Vec<u8>> {
    let body = json!({"session_id": id, "label": LABEL, "context": "AAEC", "length": 48}).to_string();
    let head = api.head("POST", "export");
    let length = body.len();
    let request = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    decoded(&ask(api, &request)?["key"])
}

/// Makes three keys that are shared with an SAE at the other end.
pub(crate) fn make_keys(etsi: Api, slave: &str) -> Result<Vec<EtsiKey>> {
    etsi_keys(etsi, &format!("{slave}/enc_keys?number=3&size=512"))
}

/// Fetches keys that an SAE at the other end has made. They must be the same.
pub(crate) fn fetch_keys(etsi: Api, master: &str, made: &[EtsiKey]) -> Result<()> {
    let ids: Vec<String> = made.iter().map(|key| format!("key_ID={}", key.id)).collect();
    let fetched = etsi_keys(etsi, &format!("{master}/dec_keys?{}", ids.join("&")))?;
    ensure!(fetched == made, "the two ends have different keys");
    Ok(())
}

fn etsi_keys(etsi: Api, target: &str) -> Result<Vec<EtsiKey>> {
    let head = format!("GET /api/v1/keys/{target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answer = ask(etsi, &head)?;
    let keys = answer["keys"].as_array().context("no keys")?.iter();
    keys.map(|key| {
        let id = key["key_ID"].as_str().context("a key without an id")?.to_owned();
        Ok(EtsiKey { id, key: decoded(&key["key"])? })
    })
    .collect()
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
