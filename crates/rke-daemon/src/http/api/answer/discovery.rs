//! What DNS says about a domain.

use rke_engine::discovery::Discovered;
use serde::Serialize;

#[cfg(test)]
use crate::http::api::schema;

/// A key set of a Content Server.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = KeySet))]
struct KeySetRow {
    /// `k1` to `k255`.
    #[cfg_attr(test, schema(pattern = "^k[0-9]{1,3}$"))]
    key_id: String,
    /// Content Server ID of the key set.
    cs_id: String,
    /// RAIDA servers of the key set that can be used.
    server_count: usize,
}

/// A Content Server, as DNS describes it.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Discovery))]
pub(in crate::http) struct Found {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The domain that was looked up.
    domain: String,
    /// Host of the Content Server, from its SRV record.
    target_host: String,
    /// Its port.
    target_port: u16,
    /// How many RAIDAs have to contribute to a key, 13 or more.
    #[cfg_attr(test, schema(minimum = 13, maximum = 25))]
    min_raidas_required: u8,
    /// Its key sets.
    key_sets: Vec<KeySetRow>,
    /// What was left out of the records, and why. Absent if nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Found {
    pub(in crate::http) fn new(domain: String, found: Discovered) -> Self {
        let key_sets = found.sets.all.iter().map(|set| KeySetRow {
            key_id: set.key_set.to_string(),
            cs_id: set.cs_id.to_string(),
            server_count: set.servers.len(),
        });
        Self {
            command: "rke_discover",
            success: true,
            domain,
            target_host: found.first().host.clone(),
            target_port: found.first().port,
            min_raidas_required: found.sets.required,
            key_sets: key_sets.collect(),
            warnings: found.sets.warnings,
        }
    }
}
