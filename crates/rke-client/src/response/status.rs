//! The state of the daemon, as `rke_status` reports it.

use jiff::Timestamp;
use serde::Deserialize;

use super::DirectoryCounts;

/// The state of the daemon.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// Its sessions.
    pub sessions: SessionCounts,
    /// Its cached keys.
    pub keystore: KeyCounts,
    /// Its settings.
    pub config: Settings,
    /// How it protects keys.
    pub secret_memory: SecretMemory,
    /// The daemon as a running process.
    pub daemon: Option<Running>,
    /// Deleted keys whose copies Content Servers must wipe.
    pub remote_deletions: Option<RemoteDeletions>,
    /// What the guardians agree on, if the daemon has guardians.
    #[serde(default)]
    pub directory: Option<DirectoryCounts>,
    /// How the kernel confines it.
    pub sandbox: Option<Sandbox>,
}

/// How the kernel confines the daemon.
#[derive(Debug, Clone, Deserialize)]
pub struct Sandbox {
    /// Which file accesses are restricted: `off`, `writes`, or `reads_and_writes`.
    pub landlock: String,
    /// Whether system calls outside the daemon's list are refused.
    pub seccomp: bool,
    /// Whether it can never gain privileges through programs that it executes.
    pub no_new_privs: bool,
}

/// How many copies of deleted keys Content Servers still have to wipe, and how many they have wiped.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RemoteDeletions {
    /// Not confirmed yet.
    pub pending: u64,
    /// Confirmed since the daemon started.
    pub confirmed: u64,
}

/// The daemon as a running process.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Running {
    /// For how long it has run, in seconds.
    pub uptime_sec: u64,
    /// When it started.
    pub started_at: Timestamp,
}

/// Session counts.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SessionCounts {
    /// In the store, expired ones included.
    pub total: usize,
    /// Not expired.
    pub active: usize,
    /// The limit on sessions in the store.
    pub max: usize,
}

/// Counts of cached keys.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct KeyCounts {
    /// In the cache.
    pub total: usize,
    /// Of these, usable.
    pub valid: usize,
    /// Of these, no longer usable.
    pub expired: usize,
    /// The limit on cached keys.
    pub max: usize,
    /// How long a key stays in the cache.
    pub default_ttl_hours: u64,
}

/// The settings that a daemon reports. It may omit all except the first.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Lifetime of a session in seconds.
    pub session_timeout_sec: u64,
    /// The DNS server that it queries, or `system`.
    pub dns_server: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Whether these are the settings that it read last. Otherwise those were wrong, and these were kept.
    pub last_reload_successful: Option<bool>,
}

/// How the daemon protects keys.
#[derive(Debug, Clone, Deserialize)]
pub struct SecretMemory {
    /// `secretmem`, or `locked`.
    pub kind: String,
    /// Bytes reserved.
    pub bytes: u64,
    /// `refused`, or `allowed` where it runs with `--insecure-debug`.
    pub inspection: String,
    /// Scratch stacks that memory scans found unwiped. Anything but 0 is a bug.
    pub residues_found: u64,
}
