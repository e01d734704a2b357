//! The cached keys.

use jiff::Timestamp;
use rke_engine::keys;
use serde::Serialize;
use utoipa::ToSchema;

use super::{rfc3339, success};

/// What is shown of a cached key. No secret is in it.
#[derive(Serialize, ToSchema)]
#[schema(as = CachedKey)]
struct KeyRow {
    /// The domain that it is for.
    domain: String,
    /// Content Server ID.
    cs_id: String,
    /// The time from which it is no longer used.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Strength of the keys of its sessions: 256, or 8 of live ones.
    key_bits: u16,
    /// The coins that were shown to the RAIDAs: denomination, colon, serial number. It serves wallets that hold
    /// all of them.
    coins: Vec<String>,
}

/// The cached keys that have not expired.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyList)]
pub(in crate::http) struct Keys {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// How many there are.
    total: usize,
    /// One for each domain and set of coins.
    keys: Vec<KeyRow>,
}

impl Keys {
    pub(in crate::http) fn new(keys: &[keys::Row]) -> Self {
        let row = |key: &keys::Row| KeyRow {
            domain: key.domain.to_string(),
            cs_id: key.cs_id.to_string(),
            expires_at: key.expires_at,
            key_bits: key.form.key_bits(),
            coins: key.coins.iter().map(ToString::to_string).collect(),
        };
        Self { command: "rke_keys", success: true, total: keys.len(), keys: keys.iter().map(row).collect() }
    }
}
