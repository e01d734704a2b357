//! What comes of encrypting, decrypting, sealing and opening.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, success, written};

/// Encrypted data.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Encrypted {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The encrypted data, in Base64.
    #[schema(content_encoding = "base64")]
    ciphertext: String,
    /// The first counter block, 32 hexadecimal digits. Keep it with the ciphertext.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    nonce: String,
    /// Bytes of the data, before Base64. Plaintext and ciphertext have the same length.
    length: usize,
}

impl Encrypted {
    pub(in crate::http) fn new(ciphertext: String, nonce: String, length: usize) -> Self {
        Self { command: "rke_encrypt", success: true, ciphertext, nonce, length }
    }

    /// The body.
    pub(in crate::http) fn to_json(&self) -> Vec<u8> {
        let Self { ciphertext, nonce, length, .. } = self;
        written(&[
            r#"{"command":"rke_encrypt","success":true,"ciphertext":""#,
            ciphertext,
            r#"","nonce":""#,
            nonce,
            r#"","length":"#,
            &length.to_string(),
            "}",
        ])
    }
}

impl IntoResponse for Encrypted {
    fn into_response(self) -> Response {
        json(self.to_json())
    }
}

/// Decrypted data.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Decrypted {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The data, in Base64.
    #[schema(content_encoding = "base64")]
    plaintext: String,
    /// Bytes of the data, before Base64.
    length: usize,
}

impl Decrypted {
    pub(in crate::http) fn new(plaintext: String, length: usize) -> Self {
        Self { command: "rke_decrypt", success: true, plaintext, length }
    }

    /// The body.
    pub(in crate::http) fn to_json(&self) -> Vec<u8> {
        let Self { plaintext, length, .. } = self;
        written(&[
            r#"{"command":"rke_decrypt","success":true,"plaintext":""#,
            plaintext,
            r#"","length":"#,
            &length.to_string(),
            "}",
        ])
    }
}

impl IntoResponse for Decrypted {
    fn into_response(self) -> Response {
        json(self.to_json())
    }
}

/// Sealed data.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Sealed {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The sealed data, in Base64: 72 bytes more than the data, and 16 for each 64 KiB of it that are
    /// begun.
    #[schema(content_encoding = "base64")]
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
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Opened {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The data, in Base64.
    #[schema(content_encoding = "base64")]
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
mod tests {
    use super::super::tests::check_written;
    use super::*;

    #[tokio::test]
    async fn what_is_written_by_hand_is_what_serde_writes() {
        let nonce = "00112233445566778899aabbccddeeff";
        check_written(|| Encrypted::new("SGVsbG8+/w==".into(), nonce.into(), 7)).await;
        check_written(|| Decrypted::new(String::new(), 0)).await;
        check_written(|| Decrypted::new("SGVsbG8+/w==".into(), 123_456)).await;
    }
}
