//! The response to an export. Nothing but its body ever holds the key.

use axum::response::{IntoResponse, Response};
use rke_proto::export::Export;

#[cfg(test)]
use crate::http::api::schema;
use crate::http::message::secret_body::SecretBody;

/// Room for everything except the key.
const REST_LEN: usize = 96;

/// An exported key. [`ExportedForm`] describes its body.
pub(in crate::http) struct Exported {
    body: SecretBody,
    length: usize,
}

impl Exported {
    /// A response without its key.
    pub(in crate::http) fn new(export: &Export<'_>) -> Self {
        let length = export.key_len();
        let mut body = SecretBody::with_capacity(2 * length + REST_LEN);
        body.push(r#"{"command":"rke_export","success":true,"key":""#);
        Self { body, length }
    }

    /// Adds the key.
    pub(in crate::http) fn write_key(&mut self, key: &[u8]) {
        self.body.push_base64(key);
    }
}

impl IntoResponse for Exported {
    fn into_response(self) -> Response {
        let Self { mut body, length } = self;
        body.push(r#"","length":"#);
        body.push(itoa::Buffer::new().format(length));
        body.push("}");
        body.into_response()
    }
}

/// An exported key.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[schema(as = Exported)]
#[expect(dead_code, reason = "only its schema is used")]
pub(in crate::http) struct ExportedForm {
    /// The kind of response.
    command: &'static str,
    #[schema(schema_with = schema::success)]
    success: bool,
    /// The key, in Base64.
    #[schema(content_encoding = "base64")]
    key: String,
    /// Bytes of the key, before Base64.
    length: usize,
}
