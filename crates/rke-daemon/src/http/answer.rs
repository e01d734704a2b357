//! The bodies of successful answers. The order of the fields is part of the interface.

use std::time::Duration;

use jiff::Timestamp;
use rke_proto::MIN_REQUIRED;
use rke_secret::MemoryReport;
use rke_secret::process::Inspection;
use rke_secret::residue::Look;
use serde::{Serialize, Serializer};

use crate::discovery::Discovered;
use crate::keystore;
use crate::raidas::{self, Raidas};
use crate::sessions::Sessions;
use crate::store::Row;

/// To the microsecond.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[derive(Serialize)]
pub(super) struct Deleted {
    command: &'static str,
    success: bool,
    session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wipe: Option<Wipe>,
}

/// The receipt of a deletion.
#[derive(Serialize)]
struct Wipe {
    scanned_bytes: u64,
    hits: u64,
    micros: u64,
}

impl Deleted {
    pub(super) fn new(session_id: String, receipt: Option<Look>) -> Self {
        let wipe = receipt.map(|look| Wipe {
            scanned_bytes: look.scanned_bytes,
            hits: look.hits,
            micros: look.took.as_micros().try_into().unwrap_or(u64::MAX),
        });
        Self { command: "rke_session_delete", success: true, session_id, wipe }
    }
}

#[derive(Serialize)]
pub(super) struct Created {
    command: &'static str,
    success: bool,
    session_id: String,
    domain: String,
    cs_id: String,
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
    from_cache: bool,
}

impl From<Row> for Created {
    fn from(row: Row) -> Self {
        Self {
            command: "rke_session_create",
            success: true,
            session_id: row.session_id,
            domain: row.domain.to_string(),
            cs_id: row.origin.cs_id.to_string(),
            expires_at: row.expires_at,
            from_cache: row.from_cache,
        }
    }
}

/// How many were deleted.
#[derive(Serialize)]
pub(super) struct DeletedAll {
    command: &'static str,
    success: bool,
    deleted: usize,
}

impl DeletedAll {
    pub(super) fn sessions(deleted: usize) -> Self {
        Self { command: "rke_sessions_delete", success: true, deleted }
    }

    pub(super) fn keys(deleted: usize) -> Self {
        Self { command: "rke_keys_delete", success: true, deleted }
    }
}

#[derive(Serialize)]
pub(super) struct Renewed {
    command: &'static str,
    success: bool,
    session_id: String,
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
}

impl From<Row> for Renewed {
    fn from(row: Row) -> Self {
        let (session_id, expires_at) = (row.session_id, row.expires_at);
        Self { command: "rke_session_renew", success: true, session_id, expires_at }
    }
}

#[derive(Serialize)]
struct KeyRow {
    domain: String,
    cs_id: String,
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
    key_bits: u16,
}

/// The cached keys.
#[derive(Serialize)]
pub(super) struct Keys {
    command: &'static str,
    success: bool,
    total: usize,
    keys: Vec<KeyRow>,
}

impl Keys {
    pub(super) fn new(keys: &[keystore::Row]) -> Self {
        let row = |key: &keystore::Row| KeyRow {
            domain: key.domain.to_string(),
            cs_id: key.cs_id.to_string(),
            expires_at: key.expires_at,
            key_bits: key.width.key_bits(),
        };
        Self { command: "rke_keys", success: true, total: keys.len(), keys: keys.iter().map(row).collect() }
    }
}

#[derive(Serialize)]
struct SessionRow {
    session_id: String,
    domain: String,
    cs_id: String,
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
    encrypt_count: u64,
    decrypt_count: u64,
}

impl From<&Row> for SessionRow {
    fn from(row: &Row) -> Self {
        Self {
            session_id: row.session_id.clone(),
            domain: row.domain.to_string(),
            cs_id: row.origin.cs_id.to_string(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            encrypt_count: row.encrypt_count,
            decrypt_count: row.decrypt_count,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Listed {
    command: &'static str,
    success: bool,
    total: usize,
    active: usize,
    sessions: Vec<SessionRow>,
}

impl Listed {
    pub(super) fn new(sessions: &Sessions) -> Self {
        let (count, rows) = sessions.store().rows();
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

#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    row: SessionRow,
    key_bits: u16,
    envelope: Vec<u8>,
    raidas: Vec<u8>,
    liars: Vec<u8>,
    from_cache: bool,
    confirmed: bool,
}

impl From<Row> for Shown {
    fn from(row: Row) -> Self {
        Self {
            row: SessionRow::from(&row),
            key_bits: row.origin.width.key_bits(),
            envelope: row.origin.envelopes,
            raidas: row.origin.raidas,
            liars: row.origin.liars,
            from_cache: row.from_cache,
            confirmed: row.origin.tunnel.is_some(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Encrypted {
    command: &'static str,
    success: bool,
    ciphertext: String,
    nonce: String,
    length: usize,
}

impl Encrypted {
    pub(super) fn new(ciphertext: String, nonce: String, length: usize) -> Self {
        Self { command: "rke_encrypt", success: true, ciphertext, nonce, length }
    }
}

#[derive(Serialize)]
pub(super) struct Decrypted {
    command: &'static str,
    success: bool,
    plaintext: String,
    length: usize,
}

impl Decrypted {
    pub(super) fn new(plaintext: String, length: usize) -> Self {
        Self { command: "rke_decrypt", success: true, plaintext, length }
    }
}

#[derive(Serialize)]
pub(super) struct Sealed {
    command: &'static str,
    success: bool,
    sealed: String,
    length: usize,
}

impl Sealed {
    pub(super) fn new(sealed: String, length: usize) -> Self {
        Self { command: "rke_seal", success: true, sealed, length }
    }
}

#[derive(Serialize)]
pub(super) struct Opened {
    command: &'static str,
    success: bool,
    plaintext: String,
    length: usize,
}

impl Opened {
    pub(super) fn new(plaintext: String, length: usize) -> Self {
        Self { command: "rke_open", success: true, plaintext, length }
    }
}

#[derive(Serialize)]
struct RaidaRow {
    raida: u8,
    endpoint: Option<String>,
    state: &'static str,
    last_ms: Option<f64>,
    median_ms: Option<f64>,
    asked: u64,
    answered: u64,
    lies: u64,
    last_fault: Option<String>,
    last_fault_at: Option<String>,
    history_ms: Vec<Option<f64>>,
}

impl From<&raidas::Row> for RaidaRow {
    fn from(row: &raidas::Row) -> Self {
        Self {
            raida: row.raida.get(),
            endpoint: row.endpoint.map(|endpoint| endpoint.to_string()),
            state: match row.state {
                raidas::State::Well => "well",
                raidas::State::Failing => "failing",
                raidas::State::Lying => "lying",
                raidas::State::Unknown => "unknown",
            },
            last_ms: row.last.map(milliseconds),
            median_ms: row.median.map(milliseconds),
            asked: row.asked,
            answered: row.answered,
            lies: row.lies,
            last_fault: row.last_fault.as_ref().map(|(fault, _)| fault.clone()),
            last_fault_at: row.last_fault.as_ref().map(|(_, at)| at.to_string()),
            history_ms: row.history.iter().map(|time| time.map(milliseconds)).collect(),
        }
    }
}

/// What is known of the RAIDAs.
#[derive(Serialize)]
pub(super) struct KnownRaidas {
    command: &'static str,
    success: bool,
    required: u8,
    margin: Option<usize>,
    raidas: Vec<RaidaRow>,
}

impl KnownRaidas {
    pub(super) fn new(known: &Raidas) -> Self {
        let rows = known.rows();
        Self {
            command: "rke_raidas",
            success: true,
            required: MIN_REQUIRED,
            margin: raidas::margin(&rows, MIN_REQUIRED.into()),
            raidas: rows.iter().map(RaidaRow::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct KeySetRow {
    key_id: String,
    cs_id: String,
    server_count: usize,
}

#[derive(Serialize)]
pub(super) struct Found {
    command: &'static str,
    success: bool,
    domain: String,
    target_host: String,
    target_port: u16,
    min_raidas_required: u8,
    key_sets: Vec<KeySetRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Found {
    pub(super) fn new(domain: String, found: Discovered) -> Self {
        let key_sets = found.sets.all.iter().map(|set| KeySetRow {
            key_id: set.key_id.to_string(),
            cs_id: set.cs_id.to_string(),
            server_count: set.servers.len(),
        });
        Self {
            command: "rke_discover",
            success: true,
            domain,
            target_host: found.target_host,
            target_port: found.target_port,
            min_raidas_required: found.sets.required,
            key_sets: key_sets.collect(),
            warnings: found.sets.warnings,
        }
    }
}

#[derive(Serialize)]
struct SessionCounts {
    total: usize,
    active: usize,
    max: usize,
}

#[derive(Serialize)]
struct KeystoreCounts {
    total: usize,
    valid: usize,
    expired: usize,
    max: usize,
    default_ttl_hours: u64,
}

#[derive(Serialize)]
struct Settings {
    session_timeout_sec: u64,
    exchange_timeout_sec: f64,
    min_raidas_required: u8,
    dns_server: String,
    weak_shares_allowed: Vec<String>,
    version: &'static str,
}

/// The daemon as a program that runs.
#[derive(Serialize)]
struct Running {
    uptime_sec: u64,
    #[serde(serialize_with = "rfc3339")]
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<ExampleRow>,
}

#[derive(Serialize)]
struct ExampleRow {
    domain: String,
    wallet_path: String,
}

impl Running {
    fn now(sessions: &Sessions) -> Self {
        let (uptime, started_at) = sessions.uptime();
        let example = sessions.config().example.as_ref().map(|example| ExampleRow {
            domain: example.domain.to_string(),
            wallet_path: example.wallet.to_string_lossy().into_owned(),
        });
        Self { uptime_sec: uptime.as_secs(), started_at, example }
    }
}

/// How keys are held on this machine.
#[derive(Serialize)]
struct SecretMemory {
    kind: &'static str,
    bytes: u64,
    slots: usize,
    slots_used: usize,
    inspection: &'static str,
    residues_found: u64,
}

impl SecretMemory {
    fn now(residues_found: u64) -> Self {
        let report = MemoryReport::now();
        let inspection = match Inspection::now() {
            Inspection::Refused => "refused",
            Inspection::Allowed => "allowed",
        };
        Self {
            kind: report.map_or("none", |report| report.kind),
            bytes: report.map_or(0, |report| report.bytes),
            slots: report.map_or(0, |report| report.slots),
            slots_used: report.map_or(0, |report| report.slots_used),
            inspection,
            residues_found,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Status {
    command: &'static str,
    success: bool,
    sessions: SessionCounts,
    keystore: KeystoreCounts,
    config: Settings,
    secret_memory: SecretMemory,
    daemon: Running,
}

impl Status {
    pub(super) fn new(sessions: &Sessions) -> Self {
        let (config, stored, keys) =
            (sessions.config(), sessions.store().count(), sessions.keystore().count());
        Self {
            command: "rke_status",
            success: true,
            sessions: SessionCounts { total: stored.total, active: stored.active, max: config.max_sessions },
            keystore: KeystoreCounts {
                total: keys.total,
                valid: keys.valid,
                expired: keys.total - keys.valid,
                max: config.max_keys,
                default_ttl_hours: config.key_ttl_hours,
            },
            config: Settings {
                session_timeout_sec: config.session_ttl.as_secs(),
                exchange_timeout_sec: config.exchange_timeout.as_secs_f64(),
                min_raidas_required: MIN_REQUIRED,
                dns_server: config.dns_server.map_or("system".into(), |server| server.to_string()),
                weak_shares_allowed: config.allow_weak_shares.iter().map(ToString::to_string).collect(),
                version: env!("CARGO_PKG_VERSION"),
            },
            secret_memory: SecretMemory::now(sessions.residues_found()),
            daemon: Running::now(sessions),
        }
    }
}
