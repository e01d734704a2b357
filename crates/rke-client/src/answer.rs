//! What the daemon answers, as types. Fields that a later daemon adds are passed over.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

/// A session's id. Who has it can use the session, so `Debug` shows its beginning only.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it to tell sessions apart, and too little to use one.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or("?")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({}…)", self.short())
    }
}

impl AsRef<str> for SessionId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A session that was opened.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    /// Its id.
    pub session_id: SessionId,
    /// The domain that it was opened for.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Whether its key came from the cache.
    pub from_cache: bool,
}

/// The sessions that there are.
#[derive(Debug, Clone, Deserialize)]
pub struct Sessions {
    /// Sessions in the store, expired ones included.
    pub total: usize,
    /// Sessions that have not expired.
    pub active: usize,
    /// These sessions.
    pub sessions: Vec<Row>,
}

/// One session.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// Its id.
    pub session_id: SessionId,
    /// The domain that it was opened for.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Encryptions so far.
    pub encrypt_count: u64,
    /// Decryptions so far.
    pub decrypt_count: u64,
}

/// One session, and how its key was made.
#[derive(Debug, Clone, Deserialize)]
pub struct Shown {
    /// What a list of sessions says of it.
    #[serde(flatten)]
    pub row: Row,
    /// Strength of the key in bits: 256, or 8.
    pub key_bits: u16,
    /// Envelope types of the requests for shares.
    pub envelope: Vec<u8>,
    /// RAIDAs whose shares made the key.
    pub raidas: Vec<u8>,
    /// RAIDAs that gave a wrong share.
    pub liars: Vec<u8>,
    /// Whether its key came from the cache.
    pub from_cache: bool,
    /// Whether the Content Server has shown that it has the same key.
    pub confirmed: bool,
}

/// A session that lives longer now.
#[derive(Debug, Clone, Deserialize)]
pub struct Renewed {
    /// Its id, as it was given.
    pub session_id: SessionId,
    /// When it ends by itself now.
    pub expires_at: Timestamp,
}

/// A session that has ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Deleted {
    /// Its id, as it was given.
    pub session_id: SessionId,
    /// The receipt, where one was asked for.
    pub wipe: Option<Wipe>,
}

/// What a look through the daemon's memory found after a key was wiped.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Wipe {
    /// Bytes that were looked at.
    pub scanned_bytes: u64,
    /// Pieces of the key that were found: 0, or a bug of the daemon.
    pub hits: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// How many of something were deleted.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Count {
    /// How many.
    pub deleted: u64,
}

/// Encrypted data.
#[derive(Clone, Deserialize)]
pub struct Encrypted {
    /// The data.
    #[serde(deserialize_with = "base64")]
    pub ciphertext: Vec<u8>,
    /// What it was encrypted with beside the key: 32 hexadecimal digits.
    pub nonce: String,
}

/// Data that was decrypted or opened.
#[derive(Clone, Deserialize)]
pub struct Plain {
    /// The data.
    #[serde(deserialize_with = "base64")]
    pub plaintext: Vec<u8>,
}

/// Sealed data.
#[derive(Clone, Deserialize)]
pub struct Sealed {
    /// The data.
    #[serde(deserialize_with = "base64")]
    pub sealed: Vec<u8>,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD
        .decode(String::deserialize(deserializer)?)
        .map_err(|_| de::Error::custom("data that is not Base64"))
}

/// The keys in the daemon's cache.
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// How many there are.
    pub total: usize,
    /// What is known of each.
    pub keys: Vec<Key>,
}

/// A cached key, without the key.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// The domain that it is for.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// Until when new sessions have it.
    pub expires_at: Timestamp,
    /// Its strength in bits: 256, or 8.
    pub key_bits: u16,
}

/// What DNS says of a domain.
#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    /// The domain.
    pub domain: String,
    /// Host of its Content Server.
    pub target_host: String,
    /// The port there.
    pub target_port: u16,
    /// How many RAIDAs have to contribute to a key.
    pub min_raidas_required: u8,
    /// Its key sets.
    pub key_sets: Vec<KeySet>,
    /// What was left out of the records, and why.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A key set of a Content Server.
#[derive(Debug, Clone, Deserialize)]
pub struct KeySet {
    /// `k1` to `k255`.
    pub key_id: String,
    /// Its Content Server ID.
    pub cs_id: String,
    /// RAIDA servers that can be used.
    pub server_count: usize,
}

/// How the RAIDAs have been doing.
#[derive(Debug, Clone, Deserialize)]
pub struct Raidas {
    /// The fewest that make a key.
    pub required: u8,
    /// How many of those that did well may still fail. `None` before the first exchange.
    pub margin: Option<usize>,
    /// All 25, in order.
    pub raidas: Vec<Raida>,
}

/// How one RAIDA has been doing.
#[derive(Debug, Clone, Deserialize)]
pub struct Raida {
    /// Its index.
    pub raida: u8,
    /// Where it was asked last.
    pub endpoint: Option<String>,
    /// `well`, `failing`, `lying` or `unknown`.
    pub state: String,
    /// How long its last answer took.
    pub last_ms: Option<f64>,
    /// The median of its last answers.
    pub median_ms: Option<f64>,
    /// Exchanges that asked it.
    pub asked: u64,
    /// Those in which it answered.
    pub answered: u64,
    /// Wrong shares that it gave.
    pub lies: u64,
    /// What went wrong last.
    pub last_fault: Option<String>,
    /// When.
    pub last_fault_at: Option<Timestamp>,
}

/// How the daemon is doing.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// Its sessions.
    pub sessions: SessionCounts,
    /// Its cached keys.
    pub keystore: KeyCounts,
    /// Its settings.
    pub config: Settings,
    /// How it holds keys.
    pub secret_memory: SecretMemory,
    /// The daemon as a program that runs.
    pub daemon: Option<Running>,
}

/// A daemon that runs.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Running {
    /// For how long, in seconds.
    pub uptime_sec: u64,
    /// Since when.
    pub started_at: Timestamp,
}

/// Numbers of sessions.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SessionCounts {
    /// In the store, expired ones included.
    pub total: usize,
    /// Not expired.
    pub active: usize,
    /// Most at one time.
    pub max: usize,
}

/// Numbers of cached keys.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct KeyCounts {
    /// In the cache.
    pub total: usize,
    /// Of these, usable.
    pub valid: usize,
    /// Of these, no longer usable.
    pub expired: usize,
    /// Most at one time.
    pub max: usize,
    /// How long one is used.
    pub default_ttl_hours: u64,
}

/// What a daemon tells of its settings. A daemon may leave out all but the first.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Life of a session in seconds.
    pub session_timeout_sec: u64,
    /// The DNS server that it asks, or `system`.
    pub dns_server: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// How the daemon holds keys.
#[derive(Debug, Clone, Deserialize)]
pub struct SecretMemory {
    /// `secretmem`, or `locked`.
    pub kind: String,
    /// Bytes that are set aside.
    pub bytes: u64,
    /// `refused`, or `allowed` where it runs with `--insecure-debug`.
    pub inspection: String,
    /// Pieces of deleted keys that receipts found: 0, or a bug.
    pub residues_found: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_not_printed_by_accident() {
        let id: SessionId = serde_json::from_str("\"a1b2c3d4e5f67890a1b2c3d4e5f67890\"").expect("an id");
        assert_eq!(format!("{id:?}"), "SessionId(a1b2c3d4…)");
        assert_eq!(id.as_str(), "a1b2c3d4e5f67890a1b2c3d4e5f67890");
    }

    #[test]
    fn data_comes_out_of_base64_or_not_at_all() {
        let plain: Plain = serde_json::from_str(r#"{"plaintext":"SGk=","length":2,"new":1}"#).expect("data");
        assert_eq!(plain.plaintext, b"Hi");
        assert!(serde_json::from_str::<Plain>(r#"{"plaintext":"SGk"}"#).is_err());
    }
}
