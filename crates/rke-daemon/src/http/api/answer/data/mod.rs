//! The responses to encrypting, decrypting, sealing and opening.

use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use hex_simd::AsciiCase;
use rke_engine::sessions::Nonce;
use serde::{Serialize, Serializer};

use super::json;
#[cfg(test)]
use crate::http::api::schema;

/// Encrypted data.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::http) struct Encrypted {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The encrypted data, in Base64.
    #[serde(serialize_with = "base64")]
    #[cfg_attr(test, schema(value_type = String, content_encoding = "base64"))]
    ciphertext: Vec<u8>,
    /// The first counter block, 32 hexadecimal digits. Keep it with the ciphertext.
    #[serde(serialize_with = "hex")]
    #[cfg_attr(test, schema(value_type = String, pattern = "^[0-9a-f]{32}$"))]
    nonce: Nonce,
    /// Bytes of the data, before Base64. Plaintext and ciphertext have the same length.
    length: usize,
}

impl Encrypted {
    pub(in crate::http) fn new(ciphertext: Vec<u8>, nonce: Nonce) -> Self {
        let length = ciphertext.len();
        Self { command: "rke_encrypt", success: true, ciphertext, nonce, length }
    }

    /// Writes the body.
    pub(in crate::http) fn write_json(&self, json: &mut Vec<u8>) {
        let Self { ciphertext, nonce, length, .. } = self;
        write_data(json, r#"{"command":"rke_encrypt","success":true,"ciphertext":""#, ciphertext);
        json.extend_from_slice(br#"","nonce":""#);
        hex_simd::encode_append(nonce, json, AsciiCase::Lower);
        write_length(json, *length);
    }
}

impl IntoResponse for Encrypted {
    fn into_response(self) -> Response {
        json(|body| self.write_json(body))
    }
}

/// Decrypted data.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::http) struct Decrypted {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The data, in Base64.
    #[serde(serialize_with = "base64")]
    #[cfg_attr(test, schema(value_type = String, content_encoding = "base64"))]
    plaintext: Vec<u8>,
    /// Bytes of the data, before Base64.
    length: usize,
}

impl Decrypted {
    pub(in crate::http) fn new(plaintext: Vec<u8>) -> Self {
        let length = plaintext.len();
        Self { command: "rke_decrypt", success: true, plaintext, length }
    }

    /// Writes the body.
    pub(in crate::http) fn write_json(&self, json: &mut Vec<u8>) {
        let Self { plaintext, length, .. } = self;
        write_data(json, r#"{"command":"rke_decrypt","success":true,"plaintext":""#, plaintext);
        write_length(json, *length);
    }
}

impl IntoResponse for Decrypted {
    fn into_response(self) -> Response {
        json(|body| self.write_json(body))
    }
}

fn base64<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode_to_string(data))
}

fn hex<S: Serializer>(bytes: &Nonce, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex_simd::encode_to_string(bytes, AsciiCase::Lower))
}

/// Room for the fields after the data.
const REST_LEN: usize = 96;

/// Writes the start of the JSON, and this data in Base64. These frequent responses need no escaping, and serde
/// would look at every byte.
fn write_data(json: &mut Vec<u8>, head: &str, data: &[u8]) {
    json.reserve(head.len() + STANDARD.encoded_length(data.len()) + REST_LEN);
    json.extend_from_slice(head.as_bytes());
    STANDARD.encode_append(data, json);
}

/// Writes the last field, after a string.
fn write_length(json: &mut Vec<u8>, length: usize) {
    json.extend_from_slice(br#"","length":"#);
    json.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    json.push(b'}');
}

/// Sealed data.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::http) struct Sealed {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The sealed data, in Base64: 72 bytes more than the data, and 16 for each 64 KiB of it that are
    /// begun.
    #[cfg_attr(test, schema(content_encoding = "base64"))]
    sealed: String,
    /// Bytes of the data before it was sealed.
    length: usize,
}

impl Sealed {
    pub(in crate::http) fn new(sealed: String, length: usize) -> Self {
        Self { command: "rke_seal", success: true, sealed, length }
    }
}

/// Opened data: authentic, and all of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::http) struct Opened {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The data, in Base64.
    #[cfg_attr(test, schema(content_encoding = "base64"))]
    plaintext: String,
    /// Bytes of the data, before Base64.
    length: usize,
}

impl Opened {
    pub(in crate::http) fn new(plaintext: String, length: usize) -> Self {
        Self { command: "rke_open", success: true, plaintext, length }
    }
}

#[cfg(test)]
mod tests;
