//! Sessions: opened, listed, shown, renewed, ended.

use std::fmt;

use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rke_engine::model::key_origin::Authenticated;
use rke_engine::model::viewer::Viewer;
use rke_engine::remote_deletions::Remote;
use rke_engine::sessions::Sessions;
use rke_engine::store::Row;
use rke_proto::coin::CoinId;
use rke_proto::handshake::KeyId;
use rke_secret::residue::Look;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::{json, rfc3339, success};

/// A session that was opened.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCreated)]
pub(in crate::http) struct Created {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The new id, 32 hexadecimal digits. Whoever knows it can use the session.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    session_id: String,
    /// The domain that was asked for.
    domain: String,
    /// Content Server ID of the key set that was used.
    cs_id: String,
    /// When the session ends by itself.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Whether the session was opened from the cache, without asking a RAIDA.
    from_cache: bool,
}

impl From<Row> for Created {
    fn from(row: Row) -> Self {
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
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionRow {
    /// The id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    session_id: String,
    /// The domain that it was opened for.
    domain: String,
    /// Content Server ID.
    cs_id: String,
    /// When it was opened.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends by itself.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Encryptions and sealings so far.
    encrypt_count: u64,
    /// Decryptions and openings so far.
    decrypt_count: u64,
}

impl From<&Row> for SessionRow {
    fn from(row: &Row) -> Self {
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
#[derive(Serialize, ToSchema)]
#[schema(as = SessionList)]
pub(in crate::http) struct Listed {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// Sessions in the store, those included that have expired and wait for the clean-up. For a page, as `active`.
    total: usize,
    /// Sessions that have not expired.
    active: usize,
    /// The sessions, oldest first.
    sessions: Vec<SessionRow>,
}

impl Listed {
    pub(in crate::http) fn new(sessions: &Sessions, viewer: &Viewer) -> Self {
        let (count, rows) = sessions.store().rows(viewer);
        let rows = rows.iter().map(SessionRow::from).collect();
        Self {
            command: "rke_sessions",
            success: true,
            total: count.total,
            active: count.active,
            sessions: rows,
        }
    }
}

/// What `authenticated` can be.
fn authenticated() -> Object {
    let about = "How well the two ends know each other: `strong` over 32-byte shares; `weak` over 1-byte shares with a key of \
                 256 bits; `no` for a session of 8 bits.";
    let kinds = [Authenticated::Strong, Authenticated::Weak, Authenticated::No].map(Authenticated::name);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds)).description(Some(about)).build()
}

/// One session, and how its key was made.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionDetail)]
pub(in crate::http) struct Shown {
    #[serde(flatten)]
    row: SessionRow,
    /// Strength of the key: 256, or 8 where 1-byte shares are all that it comes from. A session of 8 bits protects
    /// nothing from somebody who saw the exchange.
    key_bits: u16,
    /// Envelope types of the requests to the RAIDAs.
    #[schema(value_type = Vec<u16>)]
    envelope: Vec<u8>,
    /// Indexes of the RAIDAs whose shares were used.
    #[schema(value_type = Vec<u16>)]
    raidas: Vec<u8>,
    /// Indexes of the RAIDAs that gave a wrong share.
    #[schema(value_type = Vec<u16>)]
    liars: Vec<u8>,
    /// Whether the session was opened from the cache, without asking a RAIDA.
    from_cache: bool,
    /// Whether the Content Server has shown that it has the same key. `false` only for a session of 8 bits.
    confirmed: bool,
    /// The name of the session's key, the same at the Content Server. Not secret. `null` for a session of 8 bits.
    #[serde(serialize_with = "in_words")]
    #[schema(required, value_type = Option<String>, pattern = "^[0-9a-f]{32}$")]
    key_id: Option<KeyId>,
    /// Whether recorded traffic stays secret when the coins and the secrets of all servers are stolen later.
    forward_secret: bool,
    #[schema(schema_with = authenticated)]
    authenticated: &'static str,
    /// The coin that the Content Server has seen proven: denomination, colon, serial number. `null` where it
    /// has seen none.
    #[serde(serialize_with = "in_words")]
    #[schema(required, value_type = Option<String>, pattern = "^-?[0-9]{1,3}:[0-9]{1,10}$")]
    coin: Option<CoinId>,
    /// Why the Content Server broke off the session's tunnel that ended last. `null` where it did not.
    #[schema(required)]
    tunnel_broken_off: Option<String>,
}

impl Shown {
    pub(in crate::http) fn new(row: Row, tunnel_broken_off: Option<String>) -> Self {
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
        }
    }
}

/// A name as it is written, or `null`.
fn in_words<T: fmt::Display, S: Serializer>(name: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => serializer.collect_str(name),
        None => serializer.serialize_none(),
    }
}

/// A session that has its whole time again.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionRenewed)]
pub(in crate::http) struct Renewed {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The session.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    session_id: String,
    /// When it ends by itself now.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<Row> for Renewed {
    fn from(row: Row) -> Self {
        let (session_id, expires_at) = (row.session_id, row.expires_at);
        Self { command: "rke_session_renew", success: true, session_id, expires_at }
    }
}

/// A session that has ended.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionDeleted)]
pub(in crate::http) struct Deleted {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The session that has ended, as it was given.
    #[schema(pattern = "^[0-9a-fA-F]{32}$")]
    session_id: String,
    /// Only with `verify=true`: the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    wipe: Option<Wipe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = remote)]
    remote: Option<&'static str>,
}

/// What `remote` can be.
fn remote() -> Object {
    let names = [Remote::Forgotten, Remote::Pending, Remote::Unsupported].map(Remote::name);
    let about = "Only with `everywhere=true`: what has become of the key at the Content Server. `forgotten`: it has proven that the \
                 key is wiped there too. `pending`: there is no proof; the daemon goes on asking for it until the key's lifetime \
                 is over. `unsupported`: a session of 8 bits, for which there is no such message.";
    let remote = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
    remote.description(Some(about)).build()
}

/// The receipt of a deletion: what a look through all of the daemon's memory has found.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
struct Wipe {
    /// Bytes that were looked at, the registers of all threads among them.
    scanned_bytes: u64,
    /// Scratch stacks that had not been wiped, and are now: 0. Anything else is a bug in rke. Where a piece of the
    /// key or of its AES key schedule lies in other memory, the daemon aborts, and no response comes.
    hits: u64,
    /// How long the look took, in microseconds.
    micros: u64,
}

impl Deleted {
    /// The answer for the session of this id, which is one: 32 hexadecimal digits.
    pub(in crate::http) fn new(session_id: String, receipt: Option<Look>, remote: Option<Remote>) -> Self {
        let wipe = receipt.map(|look| Wipe {
            scanned_bytes: look.scanned_bytes,
            hits: look.hits,
            micros: look.took.as_micros().try_into().unwrap_or(u64::MAX),
        });
        let remote = remote.map(Remote::name);
        Self { command: "rke_session_delete", success: true, session_id, wipe, remote }
    }

    /// Writes the body.
    pub(in crate::http) fn write_json(&self, json: &mut Vec<u8>) {
        if self.wipe.is_some() || self.remote.is_some() {
            // Numbers and text cannot fail to be JSON, nor memory to be written.
            return serde_json::to_writer(json, self).unwrap_or_default();
        }
        // Nothing of this needs escaping, and serde would look at every byte.
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
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedCount)]
pub(in crate::http) struct DeletedAll {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
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
mod tests {
    use std::sync::Arc;

    use rke_engine::model::key_origin::samples::origin;
    use rke_proto::Form;
    use serde_json::{Value, json};

    use super::super::tests::check_written;
    use super::*;

    #[tokio::test]
    async fn what_is_written_by_hand_is_what_serde_writes() {
        for remote in [None, Some(Remote::Pending)] {
            check_written(|| Deleted::new("0123456789abcdefABCDEF0123456789".into(), None, remote)).await;
        }
    }

    fn row(form: Form, key_id: Option<KeyId>) -> Row {
        Row {
            session_id: "0123456789abcdef0123456789abcdef".into(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            encrypt_count: 1,
            decrypt_count: 2,
            from_cache: true,
            origin: Arc::new(origin(form)),
            key_id,
        }
    }

    fn shown(form: Form, key_id: Option<KeyId>) -> Value {
        serde_json::to_value(Shown::new(row(form, key_id), None)).expect("JSON")
    }

    #[test]
    fn a_session_of_handshake_3_shows_the_name_of_its_key_and_the_proven_coin() {
        let shown = shown(Form::Wide, Some(KeyId([0xab; 16])));
        assert_eq!(shown["key_id"], "ab".repeat(16));
        assert_eq!(shown["coin"], "0:42");
        assert_eq!((&shown["confirmed"], &shown["forward_secret"]), (&json!(true), &json!(true)));
        assert_eq!(shown["authenticated"], "strong");
    }

    #[test]
    fn a_session_over_1_byte_shares_proves_no_coin_and_says_what_it_is_worth() {
        let weak = shown(Form::Handshake3Narrow, Some(KeyId([0xab; 16])));
        let live = shown(Form::Live, None);
        for (name, of_weak, of_live) in [
            ("key_id", json!("ab".repeat(16)), json!(null)),
            ("coin", json!(null), json!(null)),
            ("confirmed", json!(true), json!(false)),
            ("forward_secret", json!(true), json!(false)),
            ("authenticated", json!("weak"), json!("no")),
            ("key_bits", json!(256), json!(8)),
            ("tunnel_broken_off", json!(null), json!(null)),
        ] {
            assert_eq!((weak.get(name), live.get(name)), (Some(&of_weak), Some(&of_live)), "{name}");
        }
    }

    #[test]
    fn the_new_fields_follow_the_documented_ones_in_this_order() {
        let text = serde_json::to_string(&Shown::new(row(Form::Wide, None), None)).expect("JSON");
        let place = |name: &str| text.find(&format!("\"{name}\":")).expect("a field");
        let names =
            ["decrypt_count", "key_bits", "confirmed", "key_id", "forward_secret", "authenticated", "coin"];
        assert!(names.map(place).is_sorted(), "{text}");
    }
}
