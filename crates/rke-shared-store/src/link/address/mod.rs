//! Where the store is: URLs as the settings have them, checked before anything connects.

use std::net::IpAddr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

/// Where the store is, and what kind of deployment it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// `redis`, `rediss`, `valkey` or `valkeys` URLs. Of several, each is tried until one responds.
    pub urls: Vec<String>,
    pub deployment: Deployment,
}

/// How the store is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployment {
    /// One primary.
    Single,
    /// The URLs are those of Sentinels, which know the primary with this name.
    Sentinel(String),
    /// A cluster, whose members know each other.
    Cluster,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("no store is named. Start with `--store redis://HOST:PORT`")]
    Missing,
    #[error(
        "`{0}` is not the address of a store. Write `redis://HOST:PORT`, or with TLS `rediss://HOST:PORT`; `valkey` and `valkeys` \
         mean the same"
    )]
    Invalid(String),
    #[error(
        "the store at {0} is beyond this machine, and the connection is not encrypted. Use `rediss://` or `valkeys://`, and turn TLS \
         on at the store"
    )]
    WithoutTls(String),
}

impl Addresses {
    /// Whether they can be used. Nothing connects.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn check(&self) -> Result<(), AddressError> {
        self.parse().map(drop)
    }

    /// Whether any of them is reached by TLS.
    pub fn has_tls(&self) -> bool {
        self.urls.iter().any(|url| url.starts_with("rediss:") || url.starts_with("valkeys:"))
    }

    /// The addresses, parsed.
    pub(super) fn parse(&self) -> Result<Vec<ConnectionInfo>, AddressError> {
        if self.urls.is_empty() {
            return Err(AddressError::Missing);
        }
        self.urls.iter().map(|url| parse(url)).collect()
    }

    /// The number of partitions. It is a part of the limits that all nodes share.
    pub(crate) fn partitions(&self) -> u16 {
        match self.deployment {
            Deployment::Single | Deployment::Sentinel(_) => 1,
            Deployment::Cluster => 64,
        }
    }

    /// The TCP ports to connect to, if they are known in advance.
    pub fn ports(&self) -> Option<Vec<u16>> {
        let infos = match self.deployment {
            Deployment::Single => self.parse().ok()?,
            Deployment::Sentinel(_) | Deployment::Cluster => return None,
        };
        let port = |info: &ConnectionInfo| match info.addr() {
            ConnectionAddr::Tcp(_, port) | ConnectionAddr::TcpTls { port, .. } => Some(*port),
            _ => None,
        };
        Some(infos.iter().filter_map(port).collect())
    }
}

fn parse(url: &str) -> Result<ConnectionInfo, AddressError> {
    // Never shows a password.
    let invalid = || AddressError::Invalid(without_password(url));
    let known = ["redis://", "rediss://", "valkey://", "valkeys://", "redis+unix://", "unix://"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(invalid());
    }
    let info = url.into_connection_info().map_err(|_| invalid())?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_redis_settings(settings);
    check_reach(info.addr())?;
    Ok(info)
}

/// Fails if a connection to the address would leave this machine unencrypted.
pub(super) fn check_reach(address: &ConnectionAddr) -> Result<(), AddressError> {
    match address {
        ConnectionAddr::Tcp(host, _) if !is_this_machine(host) => {
            Err(AddressError::WithoutTls(address.to_string()))
        }
        _ => Ok(()),
    }
}

pub(super) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.into(),
    }
}

#[cfg(test)]
mod tests;
