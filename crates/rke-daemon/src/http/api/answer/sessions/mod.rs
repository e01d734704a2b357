//! The responses about sessions: opened, listed, shown, renewed and ended.

mod held;

use std::fmt;

use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rke_engine::model::key_origin::Authenticated;
use rke_engine::model::search::Search;
use rke_engine::model::session_id::SessionId;
use rke_engine::remote_deletions::Remote;
use rke_engine::store::{Count, SessionInfo};
use rke_proto::coin::CoinId;
use rke_proto::handshake::KeyId;
use serde::{Serialize, Serializer};

pub(in crate::http) use self::held::HeldList;
use super::{json, rfc3339};
#[cfg(test)]
use crate::http::api::schema;

/// A session that was opened.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SessionCreated))]
pub(in crate::http) struct Created {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The new id, 32 hexadecimal digits. Anyone who knows it can use the session.
    #[cfg_attr(test, schema(pattern = "^[0-9a-f]{32}$"))]
    session_id: String,
    /// The requested domain.
    domain: String,
    /// Content Server ID of the key set that was used.
    cs_id: String,
    /// When the session expires.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    expires_at: Timestamp,
    /// Whether the session was opened from the cache, without asking a RAIDA.
    from_cache: bool,
}

impl From<SessionInfo> for Created {
    fn from(row: SessionInfo) -> Self {
        Self {
            command: "rke_session_create",
            success: true,
            session_id: row.session_id,
            domain: row.origin.domain.to_string(),
            cs_id: row.origin.cs_id.to_string(),
            expires_at: row.expires_at,
            from_cache: row.from_cache,
        }
    }
}

/// A session in the list.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Session))]
struct SessionRow {
    /// The id.
    #[cfg_attr(test, schema(pattern = "^[0-9a-f]{32}$"))]
    session_id: String,
    /// The domain that it was opened for.
    domain: String,
    /// Content Server ID.
    cs_id: String,
    /// When it was opened.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    created_at: Timestamp,
    /// When it expires.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    expires_at: Timestamp,
    /// Encryptions and sealings so far.
    encrypt_count: u64,
    /// Decryptions and openings so far.
    decrypt_count: u64,
}

impl From<&SessionInfo> for SessionRow {
    fn from(row: &SessionInfo) -> Self {
        Self {
            session_id: row.session_id.clone(),
            domain: row.origin.domain.to_string(),
            cs_id: row.origin.cs_id.to_string(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            encrypt_count: row.encrypt_count,
            decrypt_count: row.decrypt_count,
        }
    }
}

/// The sessions that have not expired.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SessionList))]
pub(in crate::http) struct Listed {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// Sessions in the store, including expired ones that wait for the clean-up. For a page, the same as `active`.
    total: usize,
    /// Sessions that have not expired.
    active: usize,
    /// Only with `--store`: how many of the store's sessions this machine has the keys of at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    held: Option<usize>,
    /// The sessions, oldest first.
    sessions: Vec<SessionRow>,
    /// How many of them have a key of 8 bits.
    weak: usize,
    /// How many of them have a strong key, but ends that know each other by 1-byte shares only.
    weakly_authenticated: usize,
}

impl Listed {
    pub(in crate::http) fn of(count: Count, rows: &[SessionInfo]) -> Self {
        let authenticated = |how| rows.iter().filter(|row| row.origin.authenticated() == how).count();
        Self {
            command: "rke_sessions",
            success: true,
            total: count.total,
            active: count.active,
            held: count.held,
            sessions: rows.iter().map(SessionRow::from).collect(),
            weak: authenticated(Authenticated::No),
            weakly_authenticated: authenticated(Authenticated::Weak),
        }
    }
}

/// One session, and how its key was made.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SessionDetail))]
pub(in crate::http) struct Shown {
    #[serde(flatten)]
    row: SessionRow,
    /// Strength of the key in bits: 256, or 8 if it comes from 1-byte shares alone. A session of 8 bits protects
    /// nothing from anyone who saw the exchange.
    key_bits: u16,
    /// Envelope types of the requests to the RAIDAs.
    #[cfg_attr(test, schema(value_type = Vec<u16>))]
    envelope: Vec<u8>,
    /// Indexes of the RAIDAs whose shares were used.
    #[cfg_attr(test, schema(value_type = Vec<u16>))]
    raidas: Vec<u8>,
    /// Indexes of the RAIDAs that gave a wrong share.
    #[cfg_attr(test, schema(value_type = Vec<u16>))]
    liars: Vec<u8>,
    /// Whether the session was opened from the cache, without asking a RAIDA.
    from_cache: bool,
    /// Whether the Content Server has shown that it has the same key. `false` only for a session of 8 bits.
    confirmed: bool,
    /// The name of the session's key, the same at the Content Server. Not secret. `null` for a session of 8 bits.
    #[serde(serialize_with = "in_words")]
    #[cfg_attr(test, schema(required, value_type = Option<String>, pattern = "^[0-9a-f]{32}$"))]
    key_id: Option<KeyId>,
    /// Whether recorded traffic stays secret even if the coins and the secrets of all servers are stolen later.
    forward_secret: bool,
    #[cfg_attr(test, schema(schema_with = schema::authenticated))]
    authenticated: &'static str,
    /// The coin that the Content Server has seen proven: denomination, colon, serial number. `null` where it
    /// has seen none.
    #[serde(serialize_with = "in_words")]
    #[cfg_attr(test, schema(required, value_type = Option<String>, pattern = "^-?[0-9]{1,3}:[0-9]{1,10}$"))]
    coin: Option<CoinId>,
    /// Why the Content Server broke off the session's last tunnel. `null` if it did not.
    #[cfg_attr(test, schema(required))]
    tunnel_broken_off: Option<String>,
    /// Whether the Content Server said that it no longer has the session's key when the latest tunnel was opened. It says so without
    /// proof. Without tunnels the daemon does not learn it.
    key_gone: bool,
}

impl Shown {
    pub(in crate::http) fn new(row: SessionInfo, tunnel_broken_off: Option<String>, key_gone: bool) -> Self {
        let origin = &row.origin;
        Self {
            row: SessionRow::from(&row),
            key_bits: origin.form.key_bits(),
            envelope: origin.envelopes.clone(),
            raidas: origin.raidas.clone(),
            liars: origin.liars.clone(),
            from_cache: row.from_cache,
            confirmed: origin.is_confirmed(),
            key_id: row.key_id,
            forward_secret: origin.is_forward_secret(),
            authenticated: origin.authenticated().name(),
            coin: origin.proven,
            tunnel_broken_off,
            key_gone,
        }
    }
}

/// Writes a name as text, or `null`.
fn in_words<T: fmt::Display, S: Serializer>(name: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => serializer.collect_str(name),
        None => serializer.serialize_none(),
    }
}

/// A renewed session.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SessionRenewed))]
pub(in crate::http) struct Renewed {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The session.
    #[cfg_attr(test, schema(pattern = "^[0-9a-f]{32}$"))]
    session_id: String,
    /// When it expires now.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    expires_at: Timestamp,
}

impl Renewed {
    pub(in crate::http) fn new(id: SessionId, expires_at: Timestamp) -> Self {
        Self { command: "rke_session_renew", success: true, session_id: id.to_string(), expires_at }
    }
}

/// A session that has ended.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SessionDeleted))]
pub(in crate::http) struct Deleted {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The session that has ended, as it was given.
    #[cfg_attr(test, schema(pattern = "^[0-9a-fA-F]{32}$"))]
    session_id: String,
    /// Only with `verify=true`: the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    wipe: Option<Wipe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(schema_with = schema::remote))]
    remote: Option<&'static str>,
}

/// The receipt of a deletion: what a scan of all the daemon's memory found.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Receipt))]
pub(in crate::http) struct Wipe {
    /// Bytes that were scanned, including the registers of all threads.
    scanned_bytes: u64,
    /// Scratch stacks that had not been wiped, and are now: 0. Anything else is a bug in rke. If a piece of the
    /// key or of its AES key schedule is found in other memory, the daemon aborts without a response.
    hits: u64,
    /// How long the scan of the daemon that has answered took, in microseconds.
    micros: u64,
    /// Only where machines share sessions: how many of them have searched, this one included. Bytes and hits are those of all. Others
    /// are those that had a copy of the key and have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    machines: Option<usize>,
}

impl From<&Search> for Wipe {
    fn from(Search { scan, machines }: &Search) -> Self {
        let micros = scan.took.as_micros().try_into().unwrap_or(u64::MAX);
        Self { scanned_bytes: scan.scanned_bytes, hits: scan.hits, micros, machines: *machines }
    }
}

impl Deleted {
    /// The response for the session with this id. The id must be 32 hexadecimal digits, because it is not escaped.
    pub(in crate::http) fn new(session_id: String, receipt: Option<Search>, remote: Option<Remote>) -> Self {
        let wipe = receipt.as_ref().map(Wipe::from);
        let remote = remote.map(Remote::name);
        Self { command: "rke_session_delete", success: true, session_id, wipe, remote }
    }

    /// Writes the body.
    pub(in crate::http) fn write_json(&self, json: &mut Vec<u8>) {
        if self.wipe.is_some() || self.remote.is_some() {
            // Numbers and text always become JSON, and writing to memory does not fail.
            return serde_json::to_writer(json, self).unwrap_or_default();
        }
        // Nothing here needs escaping, and serde would look at every byte.
        for part in
            [r#"{"command":"rke_session_delete","success":true,"session_id":""#, &self.session_id, r#""}"#]
        {
            json.extend_from_slice(part.as_bytes());
        }
    }
}

impl IntoResponse for Deleted {
    fn into_response(self) -> Response {
        json(|body| self.write_json(body))
    }
}

/// How many were deleted.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = DeletedCount))]
pub(in crate::http) struct DeletedAll {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// How many.
    deleted: usize,
}

impl DeletedAll {
    pub(in crate::http) fn sessions(deleted: usize) -> Self {
        Self { command: "rke_sessions_delete", success: true, deleted }
    }

    pub(in crate::http) fn keys(deleted: usize) -> Self {
        Self { command: "rke_keys_delete", success: true, deleted }
    }
}

#[cfg(test)]
mod tests;
