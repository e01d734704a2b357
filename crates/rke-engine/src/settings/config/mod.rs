//! The daemon's settings. The program fills them from flags, environment and file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rke_host::exports::ExportLabels;
use rke_shared_store::Sharing;

use super::Confirm;
use super::access::{Access, TokenRule, UnixSocket};
use super::listen::Listen;
use crate::Domain;
use crate::discovery::Dnssec;
use crate::guardians::Guardians;
use crate::model::usage::UsageLimits;
use crate::trust::Pin;

/// The daemon's settings: those that stay fixed while it runs, and those that a reload may change.
#[derive(Debug, Clone)]
pub struct Config {
    /// Settings that need a restart to change.
    pub fixed: Fixed,
    /// Settings that a running daemon can change.
    pub reloadable: Reloadable,
}

/// Settings that stay fixed for as long as the daemon runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// Where the HTTP API listens: at least one address.
    pub listen: Vec<Listen>,
    /// Where the master key and the sealed key cache are stored.
    pub data_dir: PathBuf,
    /// The DNS server to ask; the system's servers if there is none.
    pub dns_server: Option<SocketAddr>,
    /// Whether DNS may name private addresses even if the DNS server is not on this machine.
    pub allow_private_raidas: bool,
    /// Which DNS responses are accepted.
    pub dnssec: Dnssec,
    /// The file with the DNSKEY records that validation starts with; the root's keys if there is none.
    pub dnssec_anchors: Option<PathBuf>,
    /// How long a client may go without sending or taking a byte of a body.
    pub body_timeout: Duration,
    /// Whether frequent requests are answered without the router.
    pub fast_path: FastPath,
    /// Whether a request must carry the token.
    pub token: TokenRule,
    /// The unix socket to listen on as well.
    pub unix_socket: Option<UnixSocket>,
    /// The file of the audit log, if one is kept.
    pub audit_log: Option<PathBuf>,
    /// The store in which sessions are shared with other machines, if they are.
    pub store: Option<Sharing>,
    /// The session that the console suggests to try.
    pub example: Option<Example>,
}

/// Settings that a reload may change.
#[derive(Debug, Clone)]
pub struct Reloadable {
    /// The Content Servers that these domains must have.
    pub pins: Vec<Pin>,
    /// The most sessions at one time.
    pub max_sessions: usize,
    /// How long a session lives.
    pub session_ttl: Duration,
    /// The maximum lifetime of a session, including renewals.
    pub session_max_lifetime: Duration,
    /// How long a session may be idle, if that is limited.
    pub session_idle: Option<Duration>,
    /// How much one key may encrypt, in all sessions that hold it.
    pub key_limits: UsageLimits,
    /// What happens to keys when the machine sleeps.
    pub on_suspend: OnSuspend,
    /// How long a cached key is used, in hours.
    pub key_ttl_hours: u64,
    /// The most cached keys.
    pub max_keys: usize,
    /// File of lines `host:port index` for records that do not name their RAIDA.
    pub raida_directory: Option<PathBuf>,
    /// The guardians, which are asked which RAIDA a server is if neither the records nor that file say so.
    pub guardians: Guardians,
    /// One deadline for discovery and exchange.
    pub exchange_timeout: Duration,
    /// Whether the Content Server has to confirm a fresh key.
    pub confirm: Confirm,
    /// How long the Content Server has for that.
    pub confirm_timeout: Duration,
    /// Domains whose keys may be made from 1-byte shares.
    pub allow_weak_shares: Vec<Domain>,
    /// Domains whose RAIDAs may be asked for 1-byte shares in envelope 1.
    pub allow_envelope_1: Vec<Domain>,
    /// The labels that keys may be exported with.
    pub allow_export: ExportLabels,
    /// Who may use the daemon.
    pub access: Access,
}

/// A session that can be opened here, as an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub domain: Domain,
    pub wallet: PathBuf,
}

/// What happens to keys when the machine sleeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnSuspend {
    /// They stay, and their lifetimes keep running.
    #[default]
    Keep,
    /// All are dropped when it wakes up, before any is used again.
    DropEverything,
}

/// Whether the most frequent requests are answered where they are read, without the router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FastPath {
    /// They are.
    #[default]
    On,
    /// The router answers all requests.
    Off,
}

impl Config {
    /// The documented defaults, with the data in `data_dir`.
    pub fn new(data_dir: PathBuf) -> Self {
        Self { fixed: Fixed::new(data_dir), reloadable: Reloadable::default() }
    }
}

impl Fixed {
    /// The documented defaults, with the data in `data_dir`.
    fn new(data_dir: PathBuf) -> Self {
        Self {
            listen: vec![Listen::Localhost(8080)],
            data_dir,
            dns_server: None,
            allow_private_raidas: false,
            dnssec: Dnssec::default(),
            dnssec_anchors: None,
            body_timeout: Duration::from_secs(60),
            fast_path: FastPath::default(),
            token: TokenRule::default(),
            unix_socket: None,
            audit_log: None,
            store: None,
            example: None,
        }
    }

    /// The names of the settings that differ in `wanted`.
    pub fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        // A setting that is added here later does not compile without a line below.
        let Self {
            listen,
            data_dir,
            dns_server,
            allow_private_raidas,
            dnssec,
            dnssec_anchors,
            body_timeout,
            fast_path,
            token,
            unix_socket,
            audit_log,
            store,
            example: _,
        } = self;
        let differs = [
            ("listen", *listen != wanted.listen),
            ("data-dir", *data_dir != wanted.data_dir),
            ("dns-server", *dns_server != wanted.dns_server),
            ("allow-private-raidas", *allow_private_raidas != wanted.allow_private_raidas),
            ("dnssec", *dnssec != wanted.dnssec),
            ("dnssec-anchors", *dnssec_anchors != wanted.dnssec_anchors),
            ("body-timeout", *body_timeout != wanted.body_timeout),
            ("no-fast-path", *fast_path != wanted.fast_path),
            ("require-token", (*token == TokenRule::None) != (wanted.token == TokenRule::None)),
            ("shared-token", token.shared() != wanted.token.shared()),
            ("unix-socket", *unix_socket != wanted.unix_socket),
            ("audit-log", *audit_log != wanted.audit_log),
            ("store", *store != wanted.store),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

impl Default for Reloadable {
    /// The documented defaults.
    fn default() -> Self {
        Self {
            pins: Vec::new(),
            max_sessions: 16,
            session_ttl: Duration::from_secs(3600),
            session_max_lifetime: Duration::from_secs(24 * 3600),
            session_idle: None,
            key_limits: UsageLimits::default(),
            on_suspend: OnSuspend::default(),
            key_ttl_hours: 24,
            max_keys: 64,
            raida_directory: None,
            guardians: Guardians::default(),
            exchange_timeout: Duration::from_secs(5),
            confirm: Confirm::default(),
            confirm_timeout: Duration::from_secs(2),
            allow_weak_shares: Vec::new(),
            allow_envelope_1: Vec::new(),
            allow_export: ExportLabels::default(),
            access: Access::default(),
        }
    }
}

#[cfg(test)]
mod tests;
