//! Reads the files in `vectors/` for tests. A field that is missing, or has another form, ends the test by its name.

use serde_json::Value;

/// The contents of a file.
pub(crate) fn read(json: &str) -> Value {
    serde_json::from_str(json).expect("the vectors are JSON")
}

/// A text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect(name)
}

/// Bytes in hex.
pub(crate) fn bytes(value: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(value, name)).expect("hex")
}

/// Bytes in hex, of a known number.
pub(crate) fn array<const N: usize>(value: &Value, name: &str) -> [u8; N] {
    bytes(value, name).try_into().expect("the right length")
}

/// A list.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().expect(name)
}
