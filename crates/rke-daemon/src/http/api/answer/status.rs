//! How the daemon is doing.

use jiff::Timestamp;
use rke_engine::guardians::Report;
use rke_engine::keys;
use rke_engine::model::remote_deletion::RemoteCounts;
use rke_engine::sessions::Sessions;
use rke_engine::store::Count;
use rke_host::exports::Exports;
use rke_host::sandbox::Posture;
use rke_proto::MIN_REQUIRED;
use rke_secret::MemoryReport;
use rke_secret::process::Inspection;
use serde::Serialize;

use super::rfc3339;
#[cfg(test)]
use crate::http::api::schema;

/// Counts of sessions.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct SessionCounts {
    /// Sessions in the store, including expired ones that wait for the clean-up.
    total: usize,
    /// Sessions that have not expired.
    active: usize,
    /// Only with `--store`: how many of the store's sessions this machine has the keys of at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    held: Option<usize>,
    /// Most sessions at one time.
    max: usize,
}

/// Counts of cached keys.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct KeystoreCounts {
    /// Cached keys.
    total: usize,
    /// Of these, still usable.
    valid: usize,
    /// Of these, no longer usable.
    expired: usize,
    /// Most cached keys.
    max: usize,
    /// How long a cached key is used, in hours.
    default_ttl_hours: u64,
}

/// Settings. Others may follow.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Settings {
    /// Lifetime of a session in seconds.
    session_timeout_sec: u64,
    /// Longest time for an exchange, in seconds.
    exchange_timeout_sec: f64,
    /// The fewest RAIDAs that make a key.
    min_raidas_required: u8,
    /// The DNS server that is asked, or `system`.
    dns_server: String,
    /// Domains for which keys of 1-byte shares are allowed.
    weak_shares_allowed: Vec<String>,
    /// The daemon's version.
    version: &'static str,
    /// Whether these are the settings that were read last. Otherwise those were wrong, and these were kept.
    last_reload_successful: bool,
}

/// Key protection on this machine.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct SecretMemory {
    /// `secretmem` (not even root can read keys from outside) or `locked`; `none` before there are any keys.
    kind: &'static str,
    /// Bytes of memory reserved for secrets.
    bytes: u64,
    /// How many secrets there is room for.
    slots: usize,
    /// How many secrets are held.
    slots_used: usize,
    /// Whether other programs may look into the daemon: `refused`, or `allowed` with `--insecure-debug`.
    inspection: &'static str,
    /// Scratch stacks that memory scans found unwiped: 0, or rke has a bug.
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

/// Keys that leave sessions.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = ExportCounts))]
struct Exported {
    /// The labels that `--allow-export` allows. One that ends with `*` stands for all that begin with the rest.
    allowed: Vec<String>,
    /// Keys exported since the daemon started.
    count: u64,
}

/// An SAE at the other end that the daemon shares keys with by ETSI GS QKD 014.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct EtsiPeerRow {
    /// The SAE's id.
    pub(crate) sae_id: String,
    /// The domain of its Content Server.
    pub(crate) domain: String,
    /// Keys that are ready without a new session. 0 while there is no session.
    pub(crate) keys_ready: usize,
}

impl From<&Exports> for Exported {
    fn from(exports: &Exports) -> Self {
        Self { allowed: exports.labels().patterns().to_vec(), count: exports.total() }
    }
}

/// The running daemon.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Running {
    /// How long it has been running, in seconds.
    uptime_sec: u64,
    /// When it started.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(test, schema(value_type = String, format = DateTime))]
    started_at: Timestamp,
    /// Only from `rke dev`: a session that can be opened here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    example: Option<ExampleRow>,
}

/// A session that can be opened here.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = SessionExample))]
struct ExampleRow {
    /// The domain.
    domain: String,
    /// The wallet.
    wallet_path: String,
}

impl Running {
    fn now(sessions: &Sessions) -> Self {
        let (uptime, started_at) = sessions.uptime();
        let example = sessions.fixed().example.as_ref().map(|example| ExampleRow {
            domain: example.domain.to_string(),
            wallet_path: example.wallet.to_string_lossy().into_owned(),
        });
        Self { uptime_sec: uptime.as_secs(), started_at, example }
    }
}

/// Deletions at Content Servers: of sessions' keys, and of what the cache had.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct RemoteDeletions {
    /// Those that Content Servers have not yet proven. The daemon goes on asking.
    pending: usize,
    /// Those that Content Servers have proven, since the daemon started.
    confirmed: u64,
}

impl From<RemoteCounts> for RemoteDeletions {
    fn from(RemoteCounts { pending, confirmed }: RemoteCounts) -> Self {
        Self { pending, confirmed }
    }
}

/// The RAIDA directory on which guardians agree.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct DirectoryCounts {
    /// How many guardians there are.
    guardians: usize,
    /// How many of them have to agree.
    needed: usize,
    /// The RAIDAs on which they agree or did earlier.
    #[cfg_attr(test, schema(maximum = 25))]
    raidas: usize,
    /// When they last agreed on one.
    #[cfg_attr(test, schema(required, format = DateTime))]
    agreed_at: Option<String>,
}

impl From<Report> for DirectoryCounts {
    fn from(report: Report) -> Self {
        Self {
            guardians: report.guardians,
            needed: report.needed,
            raidas: report.raidas.len(),
            agreed_at: report.agreed_at().map(|at| at.to_string()),
        }
    }
}

/// What the kernel refuses the daemon, even if an attacker controls it.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Sandbox {
    /// Files that it cannot use, by Landlock: `reads_and_writes`, where it reads and writes only in folders of its own;
    /// `writes`, where it reads everywhere, because without `--wallet-root` any folder may be a wallet; or `off`.
    landlock: &'static str,
    /// Whether a seccomp filter refuses system calls that it does not need.
    seccomp: bool,
    /// Whether a program that it would start could not gain privileges.
    no_new_privs: bool,
}

impl From<Posture> for Sandbox {
    fn from(Posture { landlock, seccomp, no_new_privs }: Posture) -> Self {
        Self { landlock: landlock.name(), seccomp, no_new_privs }
    }
}

/// Counts and settings.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(in crate::http) struct Status {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    sessions: SessionCounts,
    keystore: KeystoreCounts,
    config: Settings,
    secret_memory: SecretMemory,
    daemon: Running,
    remote_deletions: RemoteDeletions,
    /// Where guardians say that RAIDAs are. `null` without `--guardian`; `raidas` has the rest.
    #[cfg_attr(test, schema(required))]
    directory: Option<DirectoryCounts>,
    exports: Exported,
    /// The peers of `--etsi-peer`.
    etsi_peers: Vec<EtsiPeerRow>,
    sandbox: Sandbox,
}

impl Status {
    pub(in crate::http) fn new(
        sessions: &Sessions,
        (stored, keys): (Count, keys::Count),
        etsi_peers: Vec<EtsiPeerRow>,
    ) -> Self {
        let config = sessions.config();
        Self {
            command: "rke_status",
            success: true,
            sessions: SessionCounts {
                total: stored.total,
                active: stored.active,
                held: stored.held,
                max: config.max_sessions,
            },
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
                dns_server: sessions.fixed().dns_server.map_or("system".into(), |server| server.to_string()),
                weak_shares_allowed: config.allow_weak_shares.iter().map(ToString::to_string).collect(),
                version: env!("CARGO_PKG_VERSION"),
                last_reload_successful: !sessions.journal().last_reload().was_refused(),
            },
            secret_memory: SecretMemory::now(sessions.residues_found()),
            daemon: Running::now(sessions),
            remote_deletions: sessions.count_remote_deletions().into(),
            directory: sessions.directory().map(DirectoryCounts::from),
            exports: sessions.exports().into(),
            etsi_peers,
            sandbox: Posture::now().into(),
        }
    }
}
