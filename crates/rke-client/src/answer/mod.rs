//! What the daemon answers, as types. Fields that a later daemon adds are passed over.

mod directory;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

pub use self::directory::{DirectoryCounts, DirectoryEntry, GuardianFault, RaidaDirectory};

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
    /// Whether it was opened from the cache, without asking a RAIDA.
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
    /// RAIDAs whose shares were used.
    pub raidas: Vec<u8>,
    /// RAIDAs that gave a wrong share.
    pub liars: Vec<u8>,
    /// Whether it was opened from the cache, without asking a RAIDA.
    pub from_cache: bool,
    /// Whether the Content Server has shown that it has the same key.
    pub confirmed: bool,
    /// The name of its key, the same at the Content Server: 32 hexadecimal digits. Not secret. `None` where
    /// the key has 8 bits.
    pub key_id: Option<String>,
    /// Whether recorded traffic stays secret when the coins and the secrets of all servers are stolen later.
    pub forward_secret: bool,
    /// How well the two ends know each other.
    pub authenticated: Authenticated,
    /// The coin that the Content Server has seen proven, as `0:1001`: denomination and serial number.
    pub coin: Option<String>,
    /// Why the Content Server broke off the session's tunnel that ended last, in its own words.
    #[serde(default)]
    pub tunnel_broken_off: Option<String>,
}

/// How well the two ends of a session know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authenticated {
    /// By 32-byte shares.
    Strong,
    /// By 1-byte shares; the key has 256 bits all the same.
    Weak,
    /// Not at all: the key has 8 bits. So is taken what a later daemon may say.
    #[serde(other)]
    No,
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
    /// What has become of the key at the Content Server, where the deletion waited for that.
    pub remote: Option<Remote>,
}

/// What has become of a deleted key at the Content Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remote {
    /// It has shown that the key is wiped there too.
    Forgotten,
    /// A key of 8 bits: there is no way to have it wiped there.
    Unsupported,
    /// The daemon goes on asking for it. So is taken what a later daemon may say.
    #[serde(other)]
    Pending,
}

/// What a look through the daemon's memory found after a key was wiped.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Wipe {
    /// Bytes that were looked at.
    pub scanned_bytes: u64,
    /// Scratch stacks that had not been wiped, and are now: 0, or a bug of the daemon.
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

/// What the daemon's cache keeps.
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// How many there are.
    pub total: usize,
    /// What is known of each, one for each domain and set of coins.
    pub keys: Vec<Key>,
}

/// What is shown of a cached key, which opens later sessions without asking a RAIDA.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// The domain that it is for.
    pub domain: String,
    /// Content Server ID of the key set.
    pub cs_id: String,
    /// Until when new sessions are opened with it.
    pub expires_at: Timestamp,
    /// Strength of their keys in bits: 256, or 8.
    pub key_bits: u16,
    /// The coins that a wallet must hold to be served by it, as `0:1001`.
    pub coins: Vec<String>,
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
    /// Where guardians say that they are, if the daemon has guardians.
    #[serde(default)]
    pub directory: Option<RaidaDirectory>,
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
    /// In what form it answers, where that is not the usual one: `envelope_5_garbled`, `envelope_1_restarting` or
    /// `envelope_1_continuing`.
    pub form: Option<String>,
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
    /// Deleted keys at Content Servers.
    pub remote_deletions: Option<RemoteDeletions>,
    /// What guardians agree on, if the daemon has guardians.
    #[serde(default)]
    pub directory: Option<DirectoryCounts>,
    /// What the kernel refuses it.
    pub sandbox: Option<Sandbox>,
}

/// What the kernel refuses the daemon.
#[derive(Debug, Clone, Deserialize)]
pub struct Sandbox {
    /// Files: `off`, `writes`, or `reads_and_writes`.
    pub landlock: String,
    /// Whether system calls that it does not need.
    pub seccomp: bool,
    /// Whether privileges that a program has and the daemon has not.
    pub no_new_privs: bool,
}

/// How many deleted keys Content Servers still have to wipe, and have wiped.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RemoteDeletions {
    /// Not confirmed yet.
    pub pending: u64,
    /// Confirmed since the daemon started.
    pub confirmed: u64,
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
    /// Scratch stacks that receipts found not wiped: 0, or a bug.
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

    fn shown(more: &str) -> Shown {
        let row = r#""session_id":"00","domain":"a.test","cs_id":"CS","created_at":"2025-11-30T10:00:00Z",
            "expires_at":"2025-11-30T11:00:00Z","encrypt_count":0,"decrypt_count":0,"key_bits":256,"envelope":[4],
            "raidas":[0],"liars":[],"from_cache":true,"confirmed":true"#;
        serde_json::from_str(&format!("{{{row},{more}}}")).expect("a session")
    }

    #[test]
    fn a_session_names_its_key_and_its_coin() {
        let wide = shown(r#""key_id":"ab","forward_secret":true,"authenticated":"strong","coin":"0:1001""#);
        assert_eq!((wide.key_id.as_deref(), wide.coin.as_deref()), (Some("ab"), Some("0:1001")));
        assert_eq!((wide.forward_secret, wide.authenticated), (true, Authenticated::Strong));
        let weak = shown(r#""key_id":null,"forward_secret":false,"authenticated":"no","coin":null"#);
        assert_eq!((weak.key_id, weak.coin, weak.authenticated), (None, None, Authenticated::No));
    }

    #[test]
    fn what_a_later_daemon_says_passes_for_the_worst() {
        let odd = shown(r#""key_id":null,"forward_secret":true,"authenticated":"perfect","coin":null"#);
        assert_eq!(odd.authenticated, Authenticated::No);
        let deleted = |remote: &str| {
            let text = format!(r#"{{"session_id":"00","remote":"{remote}"}}"#);
            serde_json::from_str::<Deleted>(&text).expect("an end").remote
        };
        assert_eq!(deleted("forgotten"), Some(Remote::Forgotten));
        assert_eq!(deleted("unsupported"), Some(Remote::Unsupported));
        assert_eq!((deleted("pending"), deleted("perhaps")), (Some(Remote::Pending), Some(Remote::Pending)));
    }
}
