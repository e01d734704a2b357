//! The parts of a response that have to be the same from the fast path and from the router.

use serde_json::Value;

/// A response without the parts that differ from one response to the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparable {
    status_line: String,
    /// Sorted, because their order means nothing.
    headers: Vec<String>,
    body: String,
}

/// The responses that arrived over a connection.
pub(super) fn comparable(bytes: &[u8]) -> Vec<Comparable> {
    let text = String::from_utf8_lossy(bytes);
    let mut starts: Vec<usize> = text.match_indices("HTTP/1.").map(|(at, _)| at).collect();
    // A message may mention HTTP/1.1; no status follows it there.
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

/// A header. If its value is a time or counts requests, only the length of the value is kept.
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
        // The response that shows a session contains times.
        _ => hide(&mut json),
    }
    json.to_string()
}

/// Keeps only the form of a value.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) => *value = format!("{} characters", text.len()).into(),
        Value::Number(_) => *value = "a number".into(),
        Value::Null | Value::Bool(_) => (),
    }
}

/// The names of the headers of the first response, in their order.
pub(super) fn order_of_headers(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect()
}
