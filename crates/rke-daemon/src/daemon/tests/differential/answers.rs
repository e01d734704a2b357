//! What of an answer has to be the same on both ways.

use serde_json::Value;

/// An answer without what differs from one answer to the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparable {
    status_line: String,
    /// In one order: which comes first means nothing.
    headers: Vec<String>,
    body: String,
}

/// The answers that came over a connection.
pub(super) fn comparable(bytes: &[u8]) -> Vec<Comparable> {
    let text = String::from_utf8_lossy(bytes);
    let mut starts: Vec<usize> = text.match_indices("HTTP/1.").map(|(at, _)| at).collect();
    // What a message says of HTTP/1.1 has no status behind it.
    starts.retain(|at| {
        text[at + 8..].starts_with(' ') && text[at + 9..].starts_with(|next: char| next.is_ascii_digit())
    });
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .filter(|(start, end)| *start < end)
        .map(|(start, end)| one(&text[*start..end]))
        .collect()
}

fn one(text: &str) -> Comparable {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, "no end of the head"));
    let mut lines = head.split("\r\n").map(str::to_owned);
    let status_line = lines.next().unwrap_or_default();
    let mut headers: Vec<String> = lines.map(without_chance).collect();
    headers.sort();
    Comparable { status_line, headers, body: body_without_chance(body) }
}

/// A header, without its value where that is the time or counts requests.
fn without_chance(line: String) -> String {
    match line.split_once(": ") {
        Some((name @ ("date" | "x-request-id"), value)) => format!("{name}: {} bytes", value.len()),
        _ => line,
    }
}

fn body_without_chance(body: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<Value>(body) else { return body.into() };
    match json["command"].as_str() {
        Some("rke_encrypt") => ["nonce", "ciphertext"].iter().for_each(|name| hide(&mut json[*name])),
        Some("rke_decrypt" | "rke_session_delete") => (),
        None if json["error"] == true => (),
        // A session as it is shown has times in it.
        _ => hide(&mut json),
    }
    json.to_string()
}

/// Leaves of a value only its form.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) => *value = format!("{} characters", text.len()).into(),
        Value::Number(_) => *value = "a number".into(),
        Value::Null | Value::Bool(_) => (),
    }
}

/// The names of the headers of the first answer, in their order.
pub(super) fn order_of_headers(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect()
}
