//! The daemon's responses, as types. Fields that a later daemon adds are ignored.

mod activity;
mod directory;
mod status;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

pub use self::activity::{Activity, ErasureReceipt, Happened};
pub use self::directory::{DirectoryCounts, DirectoryEntry, GuardianFault, RaidaDirectory};
pub use self::status::{
    KeyCounts, RemoteDeletions, Running, Sandbox, SecretMemory, SessionCounts, Settings, Status,
};

/// A session's id. Anyone who has it can use the session, so `Debug` shows only its first characters.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

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

/// A session that has just been opened.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    /// Its id.
    pub session_id: SessionId,
    /// The domain that it was opened for.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Whether its key came from the cache, without a request to a RAIDA.
    pub from_cache: bool,
}

/// A list of sessions.
#[derive(Debug, Clone, Deserialize)]
pub struct Sessions {
    /// Sessions in the store, expired ones included.
    pub total: usize,
    /// Sessions that have not expired.
    pub active: usize,
    /// The sessions themselves.
    pub sessions: Vec<SessionSummary>,
    /// How many of them have a key of 8 bits.
    pub weak: usize,
    /// How many of them have a strong key, but ends that know each other by 1-byte shares only.
    pub weakly_authenticated: usize,
}

/// One session in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionSummary {
    /// Its id.
    pub session_id: SessionId,
    /// The domain that it was opened for.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Encryptions so far.
    pub encrypt_count: u64,
    /// Decryptions so far.
    pub decrypt_count: u64,
}

/// One session, and how its key was made.
#[derive(Debug, Clone, Deserialize)]
pub struct Shown {
    /// The fields that a list of sessions shows too.
    #[serde(flatten)]
    pub row: SessionSummary,
    /// Strength of the key in bits: 256, or 8.
    pub key_bits: u16,
    /// Envelope types of the requests for shares.
    pub envelope: Vec<u8>,
    /// RAIDAs whose shares were used.
    pub raidas: Vec<u8>,
    /// RAIDAs that gave a wrong share.
    pub liars: Vec<u8>,
    /// Whether its key came from the cache, without a request to a RAIDA.
    pub from_cache: bool,
    /// Whether the Content Server has shown that it has the same key.
    pub confirmed: bool,
    /// The identifier of its key, the same at the Content Server: 32 hexadecimal digits. Not secret. `None` for an
    /// 8-bit key.
    pub key_id: Option<String>,
    /// Whether recorded traffic stays secret even if the coins and the secrets of all servers are stolen later.
    pub forward_secret: bool,
    /// How well the two ends know each other.
    pub authenticated: Authenticated,
    /// The coin that the client has proved to the Content Server, as `0:1001`: denomination and serial number.
    pub coin: Option<String>,
    /// Why the Content Server closed the session's most recent tunnel, in its own words.
    #[serde(default)]
    pub tunnel_broken_off: Option<String>,
    /// Whether the Content Server said that it no longer has the session's key when the latest tunnel was opened.
    #[serde(default)]
    pub key_gone: bool,
}

/// How well the two ends of a session know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authenticated {
    /// By 32-byte shares.
    Strong,
    /// By 1-byte shares; the key has 256 bits all the same.
    Weak,
    /// Not at all: the key has 8 bits. Unknown values of a later daemon are read as this one, the weakest.
    #[serde(other)]
    No,
}

/// A session whose expiry has been extended.
#[derive(Debug, Clone, Deserialize)]
pub struct Renewed {
    /// Its id, as it was given.
    pub session_id: SessionId,
    /// When it expires now.
    pub expires_at: Timestamp,
}

/// A session that has ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Deleted {
    /// Its id, as it was given.
    pub session_id: SessionId,
    /// The erasure receipt, if the request asked for one.
    pub wipe: Option<Wipe>,
    /// What the Content Server did with its copy of the key, if the deletion waited for that.
    pub remote: Option<Remote>,
}

/// What the Content Server did with its copy of a deleted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remote {
    /// It has proved that it wiped its copy.
    Forgotten,
    /// The protocol cannot delete 8-bit keys at the Content Server.
    Unsupported,
    /// The daemon keeps trying. Unknown values of a later daemon are read as this one.
    #[serde(other)]
    Pending,
}

/// What the scan of the daemon's memory found after a key was wiped.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Wipe {
    /// Bytes scanned.
    pub scanned_bytes: u64,
    /// Scratch stacks that had not been wiped, and are now. Anything but 0 is a bug in the daemon.
    pub hits: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// How many machines have searched, if several share sessions. Bytes and hits are then those of all of them.
    #[serde(default)]
    pub machines: Option<u64>,
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
    /// The nonce that decryption needs in addition to the key: 32 hexadecimal digits.
    pub nonce: String,
}

/// Decrypted or opened data.
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

/// A key that has left a session.
#[derive(Clone, Deserialize)]
pub struct Exported {
    /// The key.
    #[serde(deserialize_with = "base64")]
    pub key: Vec<u8>,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD
        .decode(String::deserialize(deserializer)?)
        .map_err(|_| de::Error::custom("data that is not Base64"))
}

/// The daemon's cached keys.
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// The number of cached keys.
    pub total: usize,
    /// The keys, one for each domain and set of coins.
    pub keys: Vec<Key>,
}

/// What the daemon shows about a cached key, which opens later sessions without a request to a RAIDA.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// The domain that it belongs to.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// Until when it can open new sessions.
    pub expires_at: Timestamp,
    /// Strength of the session keys in bits: 256, or 8.
    pub key_bits: u16,
    /// The coins that a wallet must hold to use it, as `0:1001`.
    pub coins: Vec<String>,
}

/// A domain's DNS records, as the daemon understands them.
#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    /// The domain.
    pub domain: String,
    /// Host of its Content Server.
    pub target_host: String,
    /// The port there.
    pub target_port: u16,
    /// How many RAIDAs must contribute to a key.
    pub min_raidas_required: u8,
    /// Its key sets.
    pub key_sets: Vec<KeySet>,
    /// What the daemon ignored in the records, and why.
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

/// The state of the RAIDAs.
#[derive(Debug, Clone, Deserialize)]
pub struct Raidas {
    /// The smallest number of shares that makes a key.
    pub required: u8,
    /// How many of the healthy ones can still fail. `None` before the first exchange.
    pub margin: Option<usize>,
    /// All 25, in order.
    pub raidas: Vec<Raida>,
    /// Where the guardians say that the RAIDAs are, if the daemon has guardians.
    #[serde(default)]
    pub directory: Option<RaidaDirectory>,
}

/// The state of one RAIDA.
#[derive(Debug, Clone, Deserialize)]
pub struct Raida {
    /// Its index.
    pub raida: u8,
    /// The address of the last request to it.
    pub endpoint: Option<String>,
    /// `well`, `failing`, `no_key_set`, `lying` or `unknown`.
    pub state: String,
    /// How long its last response took.
    pub last_ms: Option<f64>,
    /// The median of its last response times.
    pub median_ms: Option<f64>,
    /// Exchanges that sent it a request.
    pub asked: u64,
    /// Exchanges in which it responded.
    pub answered: u64,
    /// Wrong shares that it gave.
    pub lies: u64,
    /// Which variant of the protocol it responds in, if not the usual one: `envelope_5_garbled`,
    /// `envelope_1_restarting` or `envelope_1_continuing`.
    pub form: Option<String>,
    /// What went wrong most recently.
    pub last_fault: Option<String>,
    /// When that was.
    pub last_fault_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
