//! The settings of who may use the daemon and for what: names, web origins, exports, wallets, the token and the unix socket. `rke serve`
//! and `rke dev` share them. The settings for TLS belong to `rke serve` only.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use nix::unistd::Group;
use rke_engine::settings::Config;
use rke_engine::settings::access::{
    Access, CreationLimit, LoopbackOrigins, NullOrigin, TlsFiles, TokenRule, UnixSocket,
};
use serde::Deserialize;

use super::export_labels;
use crate::switch::{Switch, switch_in_file};

/// Who may use the daemon.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AccessOptions {
    /// Answer requests whose Host is this name or address, in addition to localhost and loopback addresses. Without
    /// TLS, they must have X-RKE-Request: 1 or the token. Repeatable.
    #[arg(long, value_name = "NAME", env = "RKE_ALLOW_HOST", value_delimiter = ',')]
    #[serde(alias = "allow_host", default)]
    allow_host: Vec<String>,
    /// Let web pages of this origin (scheme://host:port) use the API, in addition to those of loopback origins. Repeatable.
    #[arg(long, value_name = "ORIGIN", env = "RKE_ALLOW_ORIGIN", value_delimiter = ',')]
    #[serde(alias = "allow_origin", default)]
    allow_origin: Vec<String>,
    /// Let pages without an origin use the API: files from disk and sandboxed frames, anyone's included.
    #[arg(long, value_name = "SWITCH", env = "RKE_ALLOW_NULL_ORIGIN", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "allow_null_origin", default, deserialize_with = "switch_in_file")]
    allow_null_origin: Option<bool>,
    /// Refuse web pages of loopback origins too, unless --allow-origin lists them.
    #[arg(long, value_name = "SWITCH", env = "RKE_NO_LOOPBACK_ORIGINS", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "no_loopback_origins", default, deserialize_with = "switch_in_file")]
    no_loopback_origins: Option<bool>,
    /// Let applications export keys with this label from strongly authenticated sessions: keys for other programs, such as a VPN.
    /// A final `*` stands for all labels that begin with the rest. Repeatable.
    #[arg(long, value_name = "LABEL", env = "RKE_ALLOW_EXPORT", value_delimiter = ',')]
    #[serde(alias = "allow_export", default)]
    allow_export: Vec<String>,
    /// Accept wallets only in this folder, down to each coin file; a symbolic link must stay inside it.
    #[arg(long, value_name = "DIR", env = "RKE_WALLET_ROOT")]
    #[serde(alias = "wallet_root")]
    wallet_root: Option<PathBuf>,
    /// Require a token with each request: that of the file `token` in the data folder, new at each start.
    #[arg(long, value_name = "SWITCH", env = "RKE_REQUIRE_TOKEN", value_parser = Switch, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(alias = "require_token", default, deserialize_with = "switch_in_file")]
    require_token: Option<bool>,
    /// Listen on a unix socket too, for this user and root only.
    #[arg(long, value_name = "PATH", env = "RKE_UNIX_SOCKET")]
    #[serde(alias = "unix_socket")]
    unix_socket: Option<PathBuf>,
    /// Let the members of this group use the unix socket as well: a name or a number.
    #[arg(long, value_name = "GROUP", env = "RKE_UNIX_SOCKET_GROUP")]
    #[serde(alias = "unix_socket_group")]
    unix_socket_group: Option<String>,
}

/// Files for TLS.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TlsOptions {
    /// Serve HTTPS instead of HTTP, with the certificates in this PEM file.
    #[arg(long, value_name = "FILE", env = "RKE_TLS_CERT")]
    #[serde(alias = "tls_cert")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM).
    #[arg(long, value_name = "FILE", env = "RKE_TLS_KEY")]
    #[serde(alias = "tls_key")]
    tls_key: Option<PathBuf>,
    /// Accept only clients with a certificate that these authorities have signed (PEM).
    #[arg(long, value_name = "FILE", env = "RKE_TLS_CLIENT_CA")]
    #[serde(alias = "tls_client_ca")]
    tls_client_ca: Option<PathBuf>,
}

impl AccessOptions {
    /// Takes from the file what flags and environment left open.
    pub(crate) fn or(self, file: Self) -> Self {
        let list = |flag: Vec<String>, file| if flag.is_empty() { file } else { flag };
        Self {
            allow_host: list(self.allow_host, file.allow_host),
            allow_origin: list(self.allow_origin, file.allow_origin),
            allow_null_origin: self.allow_null_origin.or(file.allow_null_origin),
            no_loopback_origins: self.no_loopback_origins.or(file.no_loopback_origins),
            allow_export: list(self.allow_export, file.allow_export),
            wallet_root: self.wallet_root.or(file.wallet_root),
            require_token: self.require_token.or(file.require_token),
            unix_socket: self.unix_socket.or(file.unix_socket),
            unix_socket_group: self.unix_socket_group.or(file.unix_socket_group),
        }
    }

    /// Whether the group of the unix socket is given by name and must be looked up.
    pub(crate) fn has_a_named_group(&self) -> bool {
        self.unix_socket_group.as_ref().is_some_and(|group| group.parse::<u32>().is_err())
    }

    /// Puts these settings and the files for TLS into the daemon's settings.
    ///
    /// # Errors
    /// The group of the unix socket does not exist, or it is set without a socket.
    pub(crate) fn settle(self, tls: Option<TlsFiles>, config: &mut Config) -> Result<()> {
        config.fixed.unix_socket = match (self.unix_socket, self.unix_socket_group) {
            (None, Some(_)) => bail!("--unix-socket-group has no effect without --unix-socket"),
            (None, None) => None,
            (Some(path), group) => Some(UnixSocket {
                path,
                group: group
                    .as_deref()
                    .map(|group| group_number(group, "--unix-socket-group"))
                    .transpose()?,
            }),
        };
        config.fixed.token = match self.require_token {
            Some(true) => TokenRule::Required,
            _ => TokenRule::None,
        };
        config.reloadable.allow_export = export_labels(self.allow_export)?;
        config.reloadable.access = Access {
            allow_hosts: self.allow_host,
            allow_origins: self.allow_origin,
            null_origin: match self.allow_null_origin {
                Some(true) => NullOrigin::Allowed,
                _ => NullOrigin::Refused,
            },
            loopback_origins: match self.no_loopback_origins {
                Some(true) => LoopbackOrigins::Refused,
                _ => LoopbackOrigins::Allowed,
            },
            wallet_root: self.wallet_root,
            tls,
            creations: CreationLimit::default(),
        };
        Ok(())
    }
}

/// The number of a group that is given by name or number with `option`.
pub(crate) fn group_number(group: &str, option: &str) -> Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    match Group::from_name(group) {
        Ok(Some(found)) => Ok(found.gid.as_raw()),
        Ok(None) => {
            bail!("there is no group {group:?}; {option} takes the name or the number of one")
        }
        Err(error) => bail!("cannot look up the group {group:?}: {}", std::io::Error::from(error)),
    }
}

impl TlsOptions {
    /// Takes from the file what flags and environment left open.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            tls_client_ca: self.tls_client_ca.or(file.tls_client_ca),
        }
    }

    /// The files for TLS, if any are set.
    pub(crate) fn settle(self) -> Result<Option<TlsFiles>> {
        match (self.tls_cert, self.tls_key, self.tls_client_ca) {
            (None, None, None) => Ok(None),
            (Some(certificate), Some(key), client_ca) => Ok(Some(TlsFiles { certificate, key, client_ca })),
            _ => bail!("TLS needs both --tls-cert and --tls-key, also with --tls-client-ca"),
        }
    }
}
