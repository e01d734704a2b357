//! The daemon's settings: each is a flag, a `RKE_…` variable and a key of the configuration file, in this order of
//! precedence. Unknown keys in the file are rejected.

pub(crate) mod access;
mod checked;
pub(crate) mod content_server;
mod creations;
mod directory;
pub(crate) mod etsi;
mod in_file;
mod process;
pub(crate) mod raida;
mod settle;
pub(crate) mod store;
mod trust;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use etcetera::BaseStrategy;
use rke_engine::Domain;
use rke_engine::model::usage::{MAX_BYTES, MAX_MESSAGES, UsageLimits};
use rke_engine::settings::access::TokenRule;
use rke_engine::settings::listen::Listen;
use rke_engine::settings::{Config, Confirm, FastPath, OnSuspend};
use rke_host::exports::ExportLabels;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

pub(crate) use self::checked::check;
pub(crate) use self::process::LogFormat;
pub(crate) use self::settle::{Settle, WrongSettings, read_file};

use self::access::{AccessOptions, TlsOptions};
use self::creations::CreationOptions;
use self::directory::DirectoryOptions;
use self::etsi::{DaemonEtsi, EtsiOptions};
use self::in_file::one_or_several;
use self::process::{ProcessOptions, ProcessSettings};
use self::settle::first_given;
use self::store::{StoreAddressOptions, StoreOptions};
use self::trust::TrustOptions;
use crate::parse::{parse_address, parse_domain};
use crate::sandbox::{Sandbox, files_of_daemon};
use crate::switch::{Switch, switch_in_file};

/// The system's database of groups.
const GROUPS: &str = "/etc/group";

/// Bytes of the longest label of an export.
const LONGEST_LABEL: usize = 255;

/// `rke serve`. The same structure is read from flags, environment and file.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServeOptions {
    /// Configuration file (TOML). Its keys are the long flags without the dashes in front.
    #[arg(long, value_name = "FILE", env = "RKE_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Check the settings and the files that they name, and exit: 0 if the daemon could start with them, 2 if not.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) check_config: bool,
    /// Where the HTTP API listens: IP:PORT, or localhost:PORT for 127.0.0.1 and ::1 [default: localhost:8080]. Repeatable.
    #[arg(long, value_name = "ADDR", env = "RKE_LISTEN", value_delimiter = ',')]
    #[serde(default, deserialize_with = "listens")]
    listen: Vec<Listen>,
    /// Where to keep the sealed key cache [default: rke in the XDG data folder].
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    #[serde(alias = "data_dir")]
    data_dir: Option<PathBuf>,
    /// The DNS server to ask [default: those in /etc/resolv.conf, which is read again when it changes].
    #[arg(long, value_name = "IP:PORT", env = "RKE_DNS_SERVER", value_parser = parse_address)]
    #[serde(alias = "dns_server")]
    dns_server: Option<SocketAddr>,
    /// Ask RAIDAs and Content Servers at private, link-local and loopback addresses if DNS names them. Always on if
    /// --dns-server is on this machine.
    #[arg(long, value_name = "SWITCH", env = "RKE_ALLOW_PRIVATE_RAIDAS", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "allow_private_raidas", default, deserialize_with = "switch_in_file")]
    allow_private_raidas: Option<bool>,
    /// Most sessions at one time [default: 16].
    #[arg(long, value_name = "N", env = "RKE_MAX_SESSIONS")]
    #[serde(alias = "max_sessions")]
    max_sessions: Option<usize>,
    /// How long a session lives [default: 3600].
    #[arg(long, value_name = "SECONDS", env = "RKE_SESSION_TTL")]
    #[serde(alias = "session_ttl")]
    session_ttl: Option<u64>,
    /// How long a session can live by being renewed [default: 86400].
    #[arg(long, value_name = "SECONDS", env = "RKE_SESSION_MAX_LIFETIME")]
    #[serde(alias = "session_max_lifetime")]
    session_max_lifetime: Option<u64>,
    /// End a session that nobody has used for this long [default: never].
    #[arg(long, value_name = "SECONDS", env = "RKE_SESSION_IDLE")]
    #[serde(alias = "session_idle")]
    session_idle: Option<u64>,
    /// Most messages that one key may encrypt, in all its sessions [default: 4294967296, the highest].
    #[arg(long, value_name = "N", env = "RKE_KEY_MAX_MESSAGES")]
    #[serde(alias = "key_max_messages")]
    key_max_messages: Option<u64>,
    /// Most bytes that one key may encrypt, in all its sessions [default: 1125899906842624, the highest].
    #[arg(long, value_name = "N", env = "RKE_KEY_MAX_BYTES")]
    #[serde(alias = "key_max_bytes")]
    key_max_bytes: Option<u64>,
    /// Drop all sessions and cached keys when the machine has slept, before any is used again.
    #[arg(long, value_name = "SWITCH", env = "RKE_WIPE_ON_SUSPEND", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "wipe_on_suspend", default, deserialize_with = "switch_in_file")]
    wipe_on_suspend: Option<bool>,
    /// How long a cached key is used [default: 24].
    #[arg(long, value_name = "HOURS", env = "RKE_KEY_TTL")]
    #[serde(alias = "key_ttl")]
    key_ttl: Option<u64>,
    /// Most cached keys [default: 64].
    #[arg(long, value_name = "N", env = "RKE_MAX_KEYS")]
    #[serde(alias = "max_keys")]
    max_keys: Option<usize>,
    #[command(flatten)]
    #[serde(flatten)]
    directory: DirectoryOptions,
    /// Deadline for discovery and exchange together [default: 5].
    #[arg(long, value_name = "SECONDS", env = "RKE_EXCHANGE_TIMEOUT")]
    #[serde(alias = "exchange_timeout")]
    exchange_timeout: Option<u64>,
    /// Accept 1-byte shares for this domain: weakly authenticated sessions, or even keys of 8 bits. Repeatable.
    #[arg(long, value_name = "DOMAIN", env = "RKE_ALLOW_WEAK_SHARES", value_delimiter = ',')]
    #[serde(alias = "allow_weak_shares", default)]
    allow_weak_shares: Vec<String>,
    /// For this domain, also use envelope 1 to ask RAIDAs that give no 1-byte share in envelope 4. Eavesdroppers learn
    /// part of the coin's ANs from it. Repeatable.
    #[arg(long, value_name = "DOMAIN", env = "RKE_ALLOW_ENVELOPE_1", value_delimiter = ',')]
    #[serde(alias = "allow_envelope_1", default)]
    allow_envelope_1: Vec<String>,
    /// Whether the Content Server has to confirm a fresh key of 8 bits [default: try]. It always proves all other keys.
    #[arg(long, value_name = "WHEN", env = "RKE_CONFIRM")]
    confirm: Option<ConfirmChoice>,
    /// Seconds that each address of a Content Server has for a handshake, and for a confirmation [default: 2]. All of
    /// its addresses together have those of --exchange-timeout.
    #[arg(long, value_name = "SECONDS", env = "RKE_CONFIRM_TIMEOUT")]
    #[serde(alias = "confirm_timeout")]
    confirm_timeout: Option<u64>,
    /// Seconds that a body may stall while the client neither sends nor takes a byte [default: 60].
    #[arg(long, value_name = "SECONDS", env = "RKE_BODY_TIMEOUT")]
    #[serde(alias = "body_timeout")]
    body_timeout: Option<u64>,
    /// Send all requests through the router, even those that are answered faster without it. Responses are the same.
    #[arg(long, value_name = "SWITCH", env = "RKE_NO_FAST_PATH", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "no_fast_path", default, deserialize_with = "switch_in_file")]
    no_fast_path: Option<bool>,
    #[command(flatten)]
    #[serde(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    #[serde(flatten)]
    access: AccessOptions,
    #[command(flatten)]
    #[serde(flatten)]
    creations: CreationOptions,
    /// Require with each request the token in this file, which several daemons share, in place of one that is new at each start.
    #[arg(long, value_name = "FILE", env = "RKE_SHARED_TOKEN")]
    #[serde(alias = "shared_token")]
    shared_token: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    #[serde(flatten)]
    etsi: EtsiOptions,
    /// Share keys with this SAE at the other end: from sessions with the Content Server of DOMAIN, opened with WALLET. The first
    /// comma separates the two. Repeatable; with ; between several in the variable.
    #[arg(
        long = "etsi-peer",
        value_name = "SAE_ID=DOMAIN,WALLET",
        env = "RKE_ETSI_PEER",
        value_delimiter = ';'
    )]
    #[serde(alias = "etsi_peer", default, deserialize_with = "one_or_several")]
    etsi_peer: Vec<String>,
    #[command(flatten)]
    #[serde(flatten)]
    store: StoreAddressOptions,
    #[command(flatten)]
    #[serde(flatten)]
    sharing: StoreOptions,
    #[command(flatten)]
    #[serde(flatten)]
    process: ProcessOptions,
}

/// Whether the Content Server has to confirm a fresh key of 8 bits.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConfirmChoice {
    /// A key that is not confirmed opens no session.
    Require,
    /// Such a key opens a session too, which shows it.
    Try,
    /// The Content Server is not asked.
    Off,
}

impl From<ConfirmChoice> for Confirm {
    fn from(choice: ConfirmChoice) -> Self {
        match choice {
            ConfirmChoice::Require => Self::Require,
            ConfirmChoice::Try => Self::Try,
            ConfirmChoice::Off => Self::Off,
        }
    }
}

/// All settings of `rke serve`.
pub(crate) struct ServeSettings {
    pub(crate) daemon: Config,
    pub(crate) process: ProcessSettings,
    pub(crate) etsi: Option<DaemonEtsi>,
    /// The files that the settings name and that SIGHUP reads again.
    read_again: Vec<PathBuf>,
}

impl Settle for ServeOptions {
    type Settings = ServeSettings;

    fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    fn or(self, file: Self) -> Self {
        Self {
            config: self.config,
            check_config: self.check_config,
            listen: first_given([self.listen, file.listen]),
            allow_weak_shares: first_given([self.allow_weak_shares, file.allow_weak_shares]),
            allow_envelope_1: first_given([self.allow_envelope_1, file.allow_envelope_1]),
            data_dir: self.data_dir.or(file.data_dir),
            dns_server: self.dns_server.or(file.dns_server),
            allow_private_raidas: self.allow_private_raidas.or(file.allow_private_raidas),
            max_sessions: self.max_sessions.or(file.max_sessions),
            session_ttl: self.session_ttl.or(file.session_ttl),
            session_max_lifetime: self.session_max_lifetime.or(file.session_max_lifetime),
            session_idle: self.session_idle.or(file.session_idle),
            key_max_messages: self.key_max_messages.or(file.key_max_messages),
            key_max_bytes: self.key_max_bytes.or(file.key_max_bytes),
            wipe_on_suspend: self.wipe_on_suspend.or(file.wipe_on_suspend),
            key_ttl: self.key_ttl.or(file.key_ttl),
            max_keys: self.max_keys.or(file.max_keys),
            directory: self.directory.or(file.directory),
            exchange_timeout: self.exchange_timeout.or(file.exchange_timeout),
            confirm: self.confirm.or(file.confirm),
            confirm_timeout: self.confirm_timeout.or(file.confirm_timeout),
            body_timeout: self.body_timeout.or(file.body_timeout),
            no_fast_path: self.no_fast_path.or(file.no_fast_path),
            trust: self.trust.or(file.trust),
            access: self.access.or(file.access),
            creations: self.creations.or(file.creations),
            shared_token: self.shared_token.or(file.shared_token),
            tls: self.tls.or(file.tls),
            etsi: self.etsi.or(file.etsi),
            etsi_peer: first_given([self.etsi_peer, file.etsi_peer]),
            store: self.store.or(file.store),
            sharing: self.sharing.or(file.sharing),
            process: self.process.or(file.process),
        }
    }

    fn with_defaults(mut self) -> Result<ServeSettings> {
        let data_dir = match self.data_dir.take() {
            Some(path) => path,
            None => default_data_dir()?,
        };
        let groups = self.access.has_a_named_group();
        let read_again = self.config.take().into_iter().chain(groups.then(|| GROUPS.into())).collect();
        let mut process = std::mem::take(&mut self.process).settle();
        let etsi = self.etsi.clone().of_daemon(&self.etsi_peer)?;
        let store = std::mem::take(&mut self.sharing).settle(std::mem::take(&mut self.store))?;
        if store.is_some() && etsi.is_some() {
            bail!(
                "--etsi and --store exclude each other: the keys that an SAE has fetched are known to one machine only. Run the key \
                 interface on a daemon without --store"
            );
        }
        let mut daemon = self.daemon(data_dir)?;
        daemon.fixed.store = store;
        daemon.fixed.audit_log = process.audit_log.take();
        daemon.check()?;
        Ok(ServeSettings { daemon, process, etsi, read_again })
    }
}

impl ServeOptions {
    /// The daemon's settings, with defaults for everything still open.
    fn daemon(self, data_dir: PathBuf) -> Result<Config> {
        let mut config = Config::new(data_dir);
        let fixed = &mut config.fixed;
        if !self.listen.is_empty() {
            fixed.listen = self.listen;
        }
        fixed.dns_server = self.dns_server;
        fixed.allow_private_raidas = self.allow_private_raidas.unwrap_or_default();
        fixed.body_timeout = seconds(self.body_timeout, fixed.body_timeout);
        if self.no_fast_path == Some(true) {
            fixed.fast_path = FastPath::Off;
        }
        let limits = &mut config.reloadable;
        limits.max_sessions = self.max_sessions.unwrap_or(limits.max_sessions);
        limits.session_ttl = seconds(self.session_ttl, limits.session_ttl);
        limits.session_max_lifetime = seconds(self.session_max_lifetime, limits.session_max_lifetime);
        limits.session_idle = self.session_idle.map(Duration::from_secs);
        limits.key_limits = UsageLimits {
            messages: self.key_max_messages.unwrap_or(MAX_MESSAGES),
            bytes: self.key_max_bytes.unwrap_or(MAX_BYTES),
        };
        if self.wipe_on_suspend == Some(true) {
            limits.on_suspend = OnSuspend::DropEverything;
        }
        limits.key_ttl_hours = self.key_ttl.unwrap_or(limits.key_ttl_hours);
        limits.max_keys = self.max_keys.unwrap_or(limits.max_keys);
        limits.exchange_timeout = seconds(self.exchange_timeout, limits.exchange_timeout);
        limits.confirm = self.confirm.map_or(limits.confirm, Confirm::from);
        limits.confirm_timeout = seconds(self.confirm_timeout, limits.confirm_timeout);
        limits.allow_weak_shares = parse_domains("--allow-weak-shares", &self.allow_weak_shares)?;
        limits.allow_envelope_1 = parse_domains("--allow-envelope-1", &self.allow_envelope_1)?;
        self.access.settle(self.tls.settle()?, &mut config)?;
        config.reloadable.access.creations = self.creations.settle();
        if let Some(file) = self.shared_token {
            config.fixed.token = TokenRule::Shared(file);
        }
        self.trust.settle(&mut config)?;
        self.directory.settle(&mut config)?;
        Ok(config)
    }
}

impl ServeSettings {
    /// The rights that the daemon keeps.
    pub(crate) fn sandbox(&self) -> Sandbox {
        let certificates = self.etsi.iter().flat_map(|etsi| etsi.listen.files());
        let read_again = self.read_again.iter().map(AsRef::as_ref).chain(certificates);
        Sandbox::new(self.process.sandbox, files_of_daemon(&self.daemon, read_again))
    }
}

fn seconds(given: Option<u64>, default: Duration) -> Duration {
    given.map_or(default, Duration::from_secs)
}

fn parse_domains(flag: &str, names: &[String]) -> Result<Vec<Domain>> {
    let parse = |name: &String| {
        parse_domain(name).map_err(anyhow::Error::msg).with_context(|| format!("{flag} {name:?}"))
    };
    names.iter().map(parse).collect()
}

/// The labels that keys may be exported with.
fn export_labels(patterns: Vec<String>) -> Result<ExportLabels> {
    match patterns.iter().find(|pattern| pattern.is_empty() || pattern.len() > LONGEST_LABEL) {
        Some(pattern) => bail!("--allow-export {pattern:?}: a label has 1 to {LONGEST_LABEL} bytes"),
        None => Ok(ExportLabels::new(patterns)),
    }
}

/// The data folder, unless a flag names another.
pub(crate) fn default_data_dir() -> Result<PathBuf> {
    let folders = etcetera::choose_base_strategy();
    let folders = folders.context("no home folder is known; name a folder with --data-dir")?;
    Ok(folders.data_dir().join("rke"))
}

/// Reads the addresses to listen on, as one text or as a list.
fn listens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listen>, D::Error> {
    one_or_several(deserializer)?.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

#[cfg(test)]
mod tests;
