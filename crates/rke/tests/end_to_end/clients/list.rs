//! Interprets the list of calls: names that stand for given values, descriptions of data, and descriptions of the
//! expected results. See `clients/conformance/README.md`.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};

use crate::support::DOMAIN;

/// The message of a source that breaks.
pub(super) const BROKE: &str = "the source broke";

/// The values that the names in the steps of a case stand for.
pub(super) struct Given {
    values: BTreeMap<String, Value>,
    data: BTreeMap<String, Vec<u8>>,
}

impl Given {
    pub(super) fn new(daemon: &Value) -> Self {
        let values =
            [("domain", DOMAIN.into()), ("wallet", daemon["wallet"].clone()), ("key", daemon["key"].clone())];
        let values = values.map(|(name, value)| (name.into(), value));
        Self { values: values.into(), data: BTreeMap::new() }
    }

    pub(super) fn keep(&mut self, name: &str, value: Value) {
        self.values.insert(name.into(), value);
    }

    pub(super) fn keep_data(&mut self, name: &str, data: Vec<u8>) {
        self.data.insert(name.into(), data);
    }

    /// A step with the given values in place of the names.
    pub(super) fn resolved(&self, step: &Value) -> Value {
        match step {
            Value::String(text) => text.strip_prefix('$').map_or(step.clone(), |name| self.named(name)),
            Value::Array(list) => list.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, item)| (name.clone(), self.resolved(item))).collect()
            }
            other => other.clone(),
        }
    }

    fn named(&self, name: &str) -> Value {
        match name.strip_suffix("|upper") {
            Some(name) => self.values[name].as_str().expect("a text").to_uppercase().into(),
            None => self.values[name].clone(),
        }
    }

    /// The data that is described, or empty data without a description.
    pub(super) fn data(&self, described: &Value) -> Data {
        let bytes = if let Some(text) = described["text"].as_str() {
            text.into()
        } else if let Some(kept) = described["kept"].as_str() {
            altered(self.data[kept].clone(), described)
        } else {
            let endless = described["endless"].as_bool().map(|_| 65536);
            pattern(described["pattern"].as_u64().or(endless).unwrap_or(0))
        };
        Data { bytes, breaks: described["breaks"] == true, endless: described["endless"] == true }
    }
}

fn pattern(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn altered(mut bytes: Vec<u8>, how: &Value) -> Vec<u8> {
    let len = bytes.len() as i64;
    let index = |value: &Value| value.as_i64().map(|at| if at < 0 { len + at } else { at } as usize);
    if let Some(at) = index(&how["flip"]) {
        bytes[at] ^= 1;
    }
    if let [Some(one), Some(other), Some(len)] = [0, 1, 2].map(|at| index(&how["swap"][at])) {
        let (before, after) = bytes.split_at_mut(other);
        before[one..one + len].swap_with_slice(&mut after[..len]);
    }
    bytes.truncate(index(&how["first"]).unwrap_or(usize::MAX));
    bytes.extend(STANDARD.decode(how["append"].as_str().unwrap_or_default()).expect("Base64"));
    bytes
}

/// Data, and how it behaves as a source.
pub(super) struct Data {
    pub(super) bytes: Vec<u8>,
    breaks: bool,
    endless: bool,
}

impl Data {
    /// A source that returns the data in pieces.
    pub(super) fn source(self, piece_len: Option<u64>) -> Source {
        Source { data: self, at: 0, piece_len: piece_len.unwrap_or(65536) as usize }
    }
}

/// The source of a stream's data.
pub(super) struct Source {
    data: Data,
    at: usize,
    piece_len: usize,
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.data.endless && self.at == self.data.bytes.len() {
            self.at = 0;
        }
        let left = self.data.bytes.len() - self.at;
        let len = left.min(self.piece_len).min(buf.remaining());
        if len == 0 && self.data.breaks {
            return Poll::Ready(Err(io::Error::other(BROKE)));
        }
        buf.put_slice(&self.data.bytes[self.at..self.at + len]);
        self.at += len;
        Poll::Ready(Ok(()))
    }
}

/// Reports where a value differs from what the list expects.
pub(super) fn matches(value: &Value, expected: &Value) -> Result<(), String> {
    let fits = match (value, expected) {
        (value, Value::Object(fields)) => {
            return fields.iter().try_for_each(|(name, item)| {
                matches(&value[name], item).map_err(|fault| format!("{name}: {fault}"))
            });
        }
        (Value::Array(list), Value::Array(items)) if list.len() == items.len() => {
            return list.iter().zip(items).try_for_each(|(value, item)| matches(value, item));
        }
        (value, Value::String(kind)) if kind.starts_with('<') => is_a(value, kind),
        (Value::String(text), Value::String(like)) => is_like(text, like),
        (value, expected) => value == expected,
    };
    if fits { Ok(()) } else { Err(format!("{value} instead of {expected}")) }
}

fn is_a(value: &Value, kind: &str) -> bool {
    let text = value.as_str().unwrap_or_default();
    match kind {
        "<hex>" => text.len() == 32 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
        "<time>" => text.len() == 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        "<number>" => value.is_u64(),
        "<positive>" => value.as_u64().is_some_and(|number| number > 0),
        _ => panic!("no such kind: {kind}"),
    }
}

/// Whether a text is as expected. `…` stands for any text.
fn is_like(text: &str, expected: &str) -> bool {
    let Some((start, rest)) = expected.split_once('…') else { return text == expected };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(end)
}
