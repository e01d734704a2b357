//! The settings of a Content Server: each is a flag, a `RKE_…` variable and a key of the configuration file, in this
//! order of precedence. Unknown keys in the file are rejected.

mod behind;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use rke_daemon::LocalListen;
use rke_engine::Domain;
use rke_host::exports::ExportLabels;
use rke_host::sandbox::Files;
use rke_host::usage::{MAX_BYTES, MAX_MESSAGES, UsageLimits};
use rke_proto::ContentServerId;
use rke_proto::coin::CoinId;
use rke_raida::content_server::{Application, Interface, MAX_LIFETIME_SECONDS, PublicKey, ReceptionPolicy};
use rke_shared_store::Sharing;
use serde::{Deserialize, Deserializer};

use super::access::group_number;
use super::etsi::{EtsiOptions, ServerEtsi};
use super::in_file::{
    address, bytes, lifetime, messages, one_or_several, places, replay_places, text, texts,
};
use super::process::{ProcessOptions, ProcessSettings, named};
use super::settle::{Settle, first_given, required};
use super::store::{StoreAddressOptions, StoreOptions};
use super::{export_labels, seconds};
use crate::key_format::KeyFormatChoice;
use crate::launcher::Behind;
use crate::local_address::{LocalAddress, local_address_in_file};
use crate::parse::{
    parse_address, parse_cs_id, parse_domain, parse_replay_places, parse_target, parse_wireguard_peer,
};
use crate::protection::parse_places;
use crate::sandbox::{Sandbox, files_of_content_server};
use crate::switch::{Switch, switch_in_file};

/// Where it listens unless a setting says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 443);

/// What needs the settings that have no default.
const A_CONTENT_SERVER: &str = "a Content Server";

/// A running Content Server. The same structure is read from flags, environment and file.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ContentServerOptions {
    /// Configuration file (TOML). Its keys are the long flags without the dashes in front. SIGHUP makes the Content Server
    /// read it again.
    #[arg(long, value_name = "FILE", env = "RKE_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Check the settings and the files that they name, and exit: 0 if the Content Server could start with them, 2 if not.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) check_config: bool,
    /// The Content Server ID. Required.
    #[arg(long, value_name = "ID", env = "RKE_CS_ID", value_parser = parse_cs_id)]
    #[serde(default, deserialize_with = "cs_id")]
    cs_id: Option<ContentServerId>,
    /// Where its master secrets are kept, sealed. Required.
    #[arg(long, value_name = "DIR", env = "RKE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where it listens (TCP) [default: 0.0.0.0:443].
    #[arg(long, value_name = "ADDR", env = "RKE_LISTEN", value_parser = parse_address)]
    #[serde(default, deserialize_with = "address")]
    listen: Option<SocketAddr>,
    /// A domain that it serves: others are refused. Repeatable, or with commas between domains. Without it, all
    /// domains are served.
    #[arg(long = "domain", value_name = "DOMAIN", env = "RKE_DOMAIN", value_delimiter = ',', value_parser = parse_domain)]
    #[serde(default, rename = "domain", deserialize_with = "domains")]
    domains: Vec<Domain>,
    /// Shell command, run once for each connection: the client's data on its standard input, its
    /// standard output to the client. Without it, what clients send comes back to them.
    #[arg(long, value_name = "COMMAND", env = "RKE_EXEC", group = "behind")]
    exec: Option<String>,
    /// TCP address that each connection is carried to, in place of a command: a server that knows nothing of rke. A name
    /// is looked up at the start, and again when it cannot be connected to.
    #[arg(long, value_name = "HOST:PORT", env = "RKE_FORWARD", group = "behind", value_parser = parse_target)]
    #[serde(default, deserialize_with = "target")]
    forward: Option<String>,
    /// WireGuard's interface, in place of a command: `rke wireguard` at the clients renews the pre-shared keys of its peers. It
    /// needs wireguard-tools, and --wireguard-peer.
    #[arg(long, value_name = "INTERFACE", env = "RKE_WIREGUARD", group = "behind")]
    #[serde(default, deserialize_with = "interface")]
    wireguard: Option<Interface>,
    /// The only coin whose sessions may set the key of this peer, by the peer's public key. Repeatable, or with commas between
    /// them.
    #[arg(long = "wireguard-peer", value_name = "DENOMINATION:SERIAL=PUBLIC_KEY", env = "RKE_WIREGUARD_PEER", value_delimiter = ',', allow_hyphen_values = true, value_parser = parse_wireguard_peer)]
    #[serde(default, rename = "wireguard-peer", deserialize_with = "wireguard_peers")]
    wireguard_peers: Vec<(CoinId, PublicKey)>,
    /// Replace a peer's key by a random one when its client has not renewed it for twice the interval, so that the tunnel stops at
    /// WireGuard's next handshake. It goes on after the next renewal.
    #[arg(long, value_name = "SWITCH", env = "RKE_WIREGUARD_FAIL_CLOSED", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default, deserialize_with = "switch_in_file")]
    wireguard_fail_closed: Option<bool>,
    /// Shell command that gets a key on its standard input each time that `rke psk` at a client gives one to its own command. Its
    /// exit status says whether it has set the key.
    #[arg(long, value_name = "COMMAND", env = "RKE_PSK_EXEC", group = "behind")]
    psk_exec: Option<String>,
    /// The form in which that command gets the key [default: base64].
    #[arg(long, value_name = "FORMAT", env = "RKE_PSK_FORMAT")]
    psk_format: Option<KeyFormatChoice>,
    /// Seconds that a key is good for after its handshake, at most a day [default: 86400].
    #[arg(long, value_name = "SECONDS", env = "RKE_KEY_LIFETIME", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIFETIME_SECONDS)))]
    #[serde(default, deserialize_with = "lifetime")]
    key_lifetime: Option<u32>,
    /// Most keys at one time [default: 10000]. One more takes the place of the key unused for longest.
    #[arg(long, value_name = "N", env = "RKE_MAX_KEYS", value_parser = parse_places)]
    #[serde(default, deserialize_with = "places")]
    max_keys: Option<usize>,
    /// Most keys of one coin, so most sessions of a client that has one coin [default: 32]. One more takes the place of the
    /// coin's key unused for longest.
    #[arg(long, value_name = "N", env = "RKE_KEYS_PER_COIN", value_parser = parse_places)]
    #[serde(default, deserialize_with = "places")]
    keys_per_coin: Option<usize>,
    /// Most keys of all sessions that prove no coin, together [default: 256].
    #[arg(long, value_name = "N", env = "RKE_UNPROVEN_KEYS", value_parser = parse_places)]
    #[serde(default, deserialize_with = "places")]
    unproven_keys: Option<usize>,
    /// Most handshakes to remember, for ten minutes each, so that none is accepted twice [default: 1048576]. Memory is used
    /// only as needed.
    #[arg(long, value_name = "N", env = "RKE_REPLAY_MEMORY", value_parser = parse_replay_places)]
    #[serde(default, deserialize_with = "replay_places")]
    replay_memory: Option<usize>,
    /// Seconds after which a silent connection is closed [default: 300].
    #[arg(long, value_name = "SECONDS", env = "RKE_IDLE_TIMEOUT")]
    idle_timeout: Option<u64>,
    /// Most connections at one time; more wait [default: 1024].
    #[arg(long, value_name = "N", env = "RKE_MAX_CONNECTIONS", value_parser = parse_places)]
    #[serde(default, deserialize_with = "places")]
    max_connections: Option<usize>,
    /// Most commands of --exec that run at one time [default: 256]. A connection beyond that is broken off.
    #[arg(long, value_name = "N", env = "RKE_MAX_COMMANDS", value_parser = parse_places)]
    #[serde(default, deserialize_with = "places")]
    max_commands: Option<usize>,
    /// Serve key sets of 1-byte shares too: those of `preload --narrow`, and those of `preload --live`, whose keys have 8
    /// bits.
    #[arg(long, value_name = "SWITCH", env = "RKE_ALLOW_WEAK_SHARES", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(default, deserialize_with = "switch_in_file")]
    allow_weak_shares: Option<bool>,
    /// Let the application behind this Content Server use the keys of its sessions, over HTTP at unix:PATH, a socket that only
    /// this user may use, or at IP:PORT of loopback, for clients with the token in the file `token` of the data folder.
    #[arg(long, value_name = "WHERE", env = "RKE_API")]
    #[serde(default, deserialize_with = "local_address_in_file")]
    api: Option<LocalAddress>,
    /// A group, by name or number, whose members may use the unix socket of --api too.
    #[arg(long, value_name = "GROUP", env = "RKE_API_GROUP")]
    api_group: Option<String>,
    /// Let the application export keys with this label from strongly authenticated sessions: keys for other programs, such as a
    /// VPN. A final `*` stands for all labels that begin with the rest. Repeatable.
    #[arg(long, value_name = "LABEL", env = "RKE_ALLOW_EXPORT", value_delimiter = ',')]
    #[serde(default)]
    allow_export: Vec<String>,
    #[command(flatten)]
    #[serde(flatten)]
    etsi: EtsiOptions,
    /// Share keys with the SAE of a client, known by the coin that it proves. Repeatable.
    #[arg(
        long = "etsi-client",
        value_name = "DENOMINATION:SERIAL=SAE_ID",
        env = "RKE_ETSI_CLIENT",
        value_delimiter = ';'
    )]
    #[serde(default, deserialize_with = "one_or_several")]
    etsi_client: Vec<String>,
    /// Most messages that one key may encrypt here [default: 4294967296, the highest].
    #[arg(long, value_name = "N", env = "RKE_KEY_MAX_MESSAGES", value_parser = clap::value_parser!(u64).range(1..=MAX_MESSAGES))]
    #[serde(default, deserialize_with = "messages")]
    key_max_messages: Option<u64>,
    /// Most bytes that one key may encrypt here [default: 1125899906842624, the highest].
    #[arg(long, value_name = "N", env = "RKE_KEY_MAX_BYTES", value_parser = clap::value_parser!(u64).range(1..=MAX_BYTES))]
    #[serde(default, deserialize_with = "bytes")]
    key_max_bytes: Option<u64>,
    /// Show metrics and health over HTTP at IP:PORT of loopback, or at unix:PATH, a socket that only this user may use.
    #[arg(long, value_name = "WHERE", env = "RKE_METRICS")]
    #[serde(default, deserialize_with = "local_address_in_file")]
    metrics: Option<LocalAddress>,
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

/// All settings of a Content Server.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct ContentServerSettings {
    config: Option<PathBuf>,
    pub(crate) cs_id: ContentServerId,
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) behind: Behind,
    pub(crate) rules: ReceptionPolicy,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_commands: usize,
    api: Option<LocalAddress>,
    api_group: Option<String>,
    pub(crate) allow_export: ExportLabels,
    pub(crate) etsi: Option<ServerEtsi>,
    pub(crate) metrics: Option<LocalAddress>,
    pub(crate) store: Option<Sharing>,
    pub(crate) process: ProcessSettings,
}

impl Settle for ContentServerOptions {
    type Settings = ContentServerSettings;

    fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    fn or(self, mut file: Self) -> Self {
        // A flag for one of them takes the place of any in the file.
        if self.names_something_behind() {
            file.name_nothing_behind();
        }
        Self {
            config: self.config,
            check_config: self.check_config,
            cs_id: self.cs_id.or(file.cs_id),
            data_dir: self.data_dir.or(file.data_dir),
            listen: self.listen.or(file.listen),
            domains: first_given([self.domains, file.domains]),
            exec: self.exec.or(file.exec),
            forward: self.forward.or(file.forward),
            wireguard: self.wireguard.or(file.wireguard),
            wireguard_peers: first_given([self.wireguard_peers, file.wireguard_peers]),
            wireguard_fail_closed: self.wireguard_fail_closed.or(file.wireguard_fail_closed),
            psk_exec: self.psk_exec.or(file.psk_exec),
            psk_format: self.psk_format.or(file.psk_format),
            key_lifetime: self.key_lifetime.or(file.key_lifetime),
            max_keys: self.max_keys.or(file.max_keys),
            keys_per_coin: self.keys_per_coin.or(file.keys_per_coin),
            unproven_keys: self.unproven_keys.or(file.unproven_keys),
            replay_memory: self.replay_memory.or(file.replay_memory),
            idle_timeout: self.idle_timeout.or(file.idle_timeout),
            max_connections: self.max_connections.or(file.max_connections),
            max_commands: self.max_commands.or(file.max_commands),
            allow_weak_shares: self.allow_weak_shares.or(file.allow_weak_shares),
            api: self.api.or(file.api),
            api_group: self.api_group.or(file.api_group),
            allow_export: first_given([self.allow_export, file.allow_export]),
            etsi: self.etsi.or(file.etsi),
            etsi_client: first_given([self.etsi_client, file.etsi_client]),
            key_max_messages: self.key_max_messages.or(file.key_max_messages),
            key_max_bytes: self.key_max_bytes.or(file.key_max_bytes),
            metrics: self.metrics.or(file.metrics),
            store: self.store.or(file.store),
            sharing: self.sharing.or(file.sharing),
            process: self.process.or(file.process),
        }
    }

    fn with_defaults(self) -> Result<ContentServerSettings> {
        let settings = ContentServerSettings {
            behind: self.behind()?,
            rules: self.rules(),
            config: self.config,
            cs_id: required(A_CONTENT_SERVER, "cs-id", self.cs_id)?,
            data_dir: required(A_CONTENT_SERVER, "data-dir", self.data_dir)?,
            listen: self.listen.unwrap_or(LISTEN),
            idle_timeout: seconds(self.idle_timeout, Duration::from_secs(300)),
            max_connections: self.max_connections.unwrap_or(1024),
            max_commands: self.max_commands.unwrap_or(256),
            api: self.api,
            api_group: self.api_group,
            allow_export: export_labels(self.allow_export)?,
            etsi: self.etsi.of_content_server(&self.etsi_client)?,
            metrics: self.metrics,
            store: self.sharing.settle(self.store)?,
            process: self.process.settle(),
        };
        settings.application()?;
        if settings.store.is_some() && settings.etsi.is_some() {
            bail!(
                "--store and --etsi do not work together yet: each instance would give the same key to an SAE once. Leave one of them out"
            );
        }
        Ok(settings)
    }
}

impl ContentServerOptions {
    fn rules(&self) -> ReceptionPolicy {
        let default = ReceptionPolicy::default();
        ReceptionPolicy {
            lifetime_seconds: self.key_lifetime.unwrap_or(default.lifetime_seconds),
            max_keys: self.max_keys.unwrap_or(default.max_keys),
            keys_per_coin: self.keys_per_coin.unwrap_or(default.keys_per_coin),
            unproven_keys: self.unproven_keys.unwrap_or(default.unproven_keys),
            replay_memory: self.replay_memory.unwrap_or(default.replay_memory),
            domains: self.domains.iter().map(ToString::to_string).collect(),
            allow_narrow: self.allow_weak_shares.unwrap_or_default(),
            usage: UsageLimits {
                messages: self.key_max_messages.unwrap_or(MAX_MESSAGES),
                bytes: self.key_max_bytes.unwrap_or(MAX_BYTES),
            },
            ..default
        }
    }
}

impl ContentServerSettings {
    /// Where the application may use the keys, if that is wanted.
    ///
    /// # Errors
    /// An option without effect, or an unknown group.
    pub(crate) fn application(&self) -> Result<Option<LocalListen>> {
        Ok(match (&self.api, self.api_group.as_deref()) {
            (Some(api @ LocalAddress::Unix(_)), Some(group)) => {
                Some(api.listen(Some(group_number(group, "--api-group")?)))
            }
            (_, Some(_)) => bail!("--api-group has no effect without --api unix:PATH"),
            (Some(api), None) => Some(api.listen(None)),
            (None, None) => None,
        })
    }

    /// The rights that the Content Server keeps, with this application.
    pub(crate) fn sandbox(&self, application: &Application) -> Sandbox {
        let files = files_of_content_server(&self.data_dir, application, self.store.as_ref());
        let files = self.config.iter().map(AsRef::as_ref).fold(files, Files::read_again);
        let files = self.etsi.iter().flat_map(|etsi| etsi.listen.files()).fold(files, Files::read_again);
        let listeners = self.api.iter().chain(&self.metrics);
        let files = listeners.fold(files, |files, listener| listener.allow(files));
        let files = self.process.audit_log.iter().fold(files, |files, log| files.append(log));
        Sandbox::new(self.process.sandbox, files)
    }

    /// The names of the settings that differ in `wanted` and take effect only after a restart.
    pub(crate) fn fixed(&self, wanted: &Self) -> Vec<&'static str> {
        let differs = named([
            ("cs-id", self.cs_id != wanted.cs_id),
            ("data-dir", self.data_dir != wanted.data_dir),
            ("listen", self.listen != wanted.listen),
            ("what is behind the tunnels", self.behind != wanted.behind),
            ("replay-memory", self.rules.replay_memory != wanted.rules.replay_memory),
            ("max-connections", self.max_connections != wanted.max_connections),
            ("max-commands", self.max_commands != wanted.max_commands),
            ("api", self.api != wanted.api),
            ("api-group", self.api_group != wanted.api_group),
            ("etsi", self.etsi != wanted.etsi),
            ("metrics", self.metrics != wanted.metrics),
            ("store", self.store != wanted.store),
            ("max-keys", self.store.is_some() && self.rules.max_keys != wanted.rules.max_keys),
            (
                "key-max-messages or key-max-bytes",
                self.store.is_some() && self.rules.usage != wanted.rules.usage,
            ),
        ]);
        [differs, self.process.differences(&wanted.process)].concat()
    }
}

fn cs_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContentServerId>, D::Error> {
    text(deserializer, parse_cs_id)
}

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer, parse_target)
}

fn interface<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Interface>, D::Error> {
    text(deserializer, str::parse)
}

fn wireguard_peers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(CoinId, PublicKey)>, D::Error> {
    texts(deserializer, parse_wireguard_peer)
}

fn domains<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Domain>, D::Error> {
    texts(deserializer, parse_domain)
}

#[cfg(test)]
mod tests;
