//! What the daemon can be told. The program fills it from flags, environment and file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Confirm;
use super::access::Access;
use super::listen::Listen;
use crate::Domain;
use crate::discovery::Dnssec;
use crate::guardians::Guardians;
use crate::model::usage::UsageLimits;
use crate::trust::Pin;

/// The daemon's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the HTTP API listens: at least one.
    pub listen: Vec<Listen>,
    /// Where the master key and the sealed key cache lie.
    pub data_dir: PathBuf,
    /// The DNS server to ask; the system's where there is none.
    pub dns_server: Option<SocketAddr>,
    /// Whether DNS may name private addresses, also where another DNS server than one of this machine is asked.
    pub allow_private_raidas: bool,
    /// Which responses of DNS are accepted.
    pub dnssec: Dnssec,
    /// The DNSKEY records that validation begins with; the root's where there is no file.
    pub dnssec_anchors: Option<PathBuf>,
    /// The Content Servers that domains must have.
    pub pins: Vec<Pin>,
    /// Most sessions at one time.
    pub max_sessions: usize,
    /// How long a session lives.
    pub session_ttl: Duration,
    /// How long a session can live by being renewed.
    pub session_max_lifetime: Duration,
    /// How long a session may be without use, where there is such a limit.
    pub session_idle: Option<Duration>,
    /// What one key may encrypt, in all sessions that hold it.
    pub key_limits: UsageLimits,
    /// What happens to keys when the machine sleeps.
    pub on_suspend: OnSuspend,
    /// How long a cached key is used, in hours.
    pub key_ttl_hours: u64,
    /// Most cached keys.
    pub max_keys: usize,
    /// File of lines `host:port index` for records that do not name their RAIDA.
    pub raida_directory: Option<PathBuf>,
    /// Who is asked which RAIDA a server is, where neither the records nor that file say so.
    pub guardians: Guardians,
    /// One deadline over discovery and exchange.
    pub exchange_timeout: Duration,
    /// Whether the Content Server has to confirm a fresh key.
    pub confirm: Confirm,
    /// How long the Content Server has for that.
    pub confirm_timeout: Duration,
    /// Domains whose keys may be made from 1-byte shares.
    pub allow_weak_shares: Vec<Domain>,
    /// Domains whose RAIDAs may be asked for 1-byte shares in envelope 1.
    pub allow_envelope_1: Vec<Domain>,
    /// How long a client may neither send nor take a byte of a body.
    pub body_timeout: Duration,
    /// Who may use the daemon, and the ways in.
    pub access: Access,
    /// The file of the audit log, if there is to be one.
    pub audit_log: Option<PathBuf>,
    /// What the console proposes to try.
    pub example: Option<Example>,
}

/// A session that can be opened here, for whoever does not know one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The domain.
    pub domain: Domain,
    /// The wallet.
    pub wallet: PathBuf,
}

/// What happens to keys when the machine sleeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnSuspend {
    /// They stay; their time runs on.
    #[default]
    Keep,
    /// All are dropped when it wakes up, before any is used again.
    DropEverything,
}

impl Config {
    /// The documented defaults, with the data in `data_dir`.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            listen: vec![Listen::Localhost(8080)],
            data_dir,
            dns_server: None,
            allow_private_raidas: false,
            dnssec: Dnssec::default(),
            dnssec_anchors: None,
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
            body_timeout: Duration::from_secs(60),
            access: Access::default(),
            audit_log: None,
            example: None,
        }
    }
}
