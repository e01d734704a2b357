//! What the daemon can be told. The program fills it from flags, environment and file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Confirm;
use super::access::{Access, TokenRule, UnixSocket};
use super::listen::Listen;
use crate::Domain;
use crate::discovery::Dnssec;
use crate::guardians::Guardians;
use crate::model::usage::UsageLimits;
use crate::trust::Pin;

/// The daemon's settings: what holds for as long as it runs, and what a reload may change.
#[derive(Debug, Clone)]
pub struct Config {
    /// What takes a new start to change.
    pub fixed: Fixed,
    /// What a running daemon can change.
    pub reloadable: Reloadable,
}

/// Settings that hold for as long as the daemon runs.
#[derive(Debug, Clone)]
pub struct Fixed {
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
    /// How long a client may neither send nor take a byte of a body.
    pub body_timeout: Duration,
    /// Whether frequent requests are answered without the router.
    pub fast_path: FastPath,
    /// Whether a request must carry the token.
    pub token: TokenRule,
    /// Where to listen on a unix socket as well.
    pub unix_socket: Option<UnixSocket>,
    /// The file of the audit log, if there is to be one.
    pub audit_log: Option<PathBuf>,
    /// What the console proposes to try.
    pub example: Option<Example>,
}

/// Settings that a reload may change.
#[derive(Debug, Clone)]
pub struct Reloadable {
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
    /// Who may use the daemon.
    pub access: Access,
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

/// Whether requests that come by the thousand are answered where they are read, without the router.
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
            example: None,
        }
    }

    /// The names of the settings that differ in `wanted`.
    pub fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        // One that is added here later does not compile without its line below.
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
            ("require-token", *token != wanted.token),
            ("unix-socket", *unix_socket != wanted.unix_socket),
            ("audit-log", *audit_log != wanted.audit_log),
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
            access: Access::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_new_start_is_named() {
        let current = Fixed::new("/a".into());
        assert!(current.differences(&current).is_empty());
        let wanted = Fixed {
            dnssec: Dnssec::Require,
            dnssec_anchors: Some("/k".into()),
            body_timeout: Duration::from_secs(7),
            fast_path: FastPath::Off,
            token: TokenRule::Required,
            audit_log: Some("/l".into()),
            ..Fixed::new("/b".into())
        };
        let named = [
            "data-dir",
            "dnssec",
            "dnssec-anchors",
            "body-timeout",
            "no-fast-path",
            "require-token",
            "audit-log",
        ];
        assert_eq!(current.differences(&wanted), named);
    }
}
