//! The cached keys.

use jiff::Timestamp;
use rke_engine::keys;
use serde::Serialize;

use super::rfc3339;
#[cfg(test)]
use crate::http::api::schema;

/// A cached key, without its secret.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CachedKey))]
struct KeyRow {
    /// The domain that it is for.
    domain: String,
    /// Content Server ID.
    cs_id: String,
    /// When it expires.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    expires_at: Timestamp,
    /// Strength of its sessions' keys in bits: 256, or 8 for live ones.
    key_bits: u16,
    /// The coins that were shown to the RAIDAs: denomination, colon, serial number. It serves wallets that hold
    /// all of them.
    coins: Vec<String>,
}

/// The cached keys that have not expired.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = KeyList))]
pub(in crate::http) struct Keys {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// How many there are.
    total: usize,
    /// One for each domain and set of coins.
    keys: Vec<KeyRow>,
}

impl Keys {
    pub(in crate::http) fn new(keys: &[keys::CachedKeyInfo]) -> Self {
        let row = |key: &keys::CachedKeyInfo| KeyRow {
            domain: key.domain.to_string(),
            cs_id: key.cs_id.to_string(),
            expires_at: key.expires_at,
            key_bits: key.form.key_bits(),
            coins: key.coins.iter().map(ToString::to_string).collect(),
        };
        Self { command: "rke_keys", success: true, total: keys.len(), keys: keys.iter().map(row).collect() }
    }
}
