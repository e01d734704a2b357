//! Who may use the daemon: the host names that it responds to, the web origins that it allows, the token, the unix
//! socket and the client certificates. By default, nothing is open except to pages that this machine serves itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The settings of the gate in front of the API, and of TLS, which a reload may change.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Names and addresses in `Host` that are accepted in addition to those of loopback.
    pub allow_hosts: Vec<String>,
    /// Web origins that may use the API in addition to those of loopback.
    pub allow_origins: Vec<String>,
    /// Pages whose origin is `null`.
    pub null_origin: NullOrigin,
    /// Pages from loopback origins.
    pub loopback_origins: LoopbackOrigins,
    /// The folder that wallets must be in; without one, they may be anywhere.
    pub wallet_root: Option<PathBuf>,
    /// Serve TLS instead of plain TCP. A reload may change the files, but not whether TLS is used.
    pub tls: Option<TlsFiles>,
    /// How often each page and each peer may open sessions.
    pub creations: CreationLimit,
}

/// How often sessions may be opened: at once, and then a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreationLimit {
    /// How many a second, at least 1.
    pub rate: u32,
    /// How many at once, at least 1.
    pub burst: u32,
}

impl Default for CreationLimit {
    /// More than an honest script of one user reaches.
    fn default() -> Self {
        Self { rate: 50, burst: 200 }
    }
}

/// A unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its path.
    pub path: PathBuf,
    /// The number of the group whose members may use it too. Without a group, only the daemon's user and root may.
    pub group: Option<u32>,
}

/// Whether pages without an origin of their own, such as files from disk, may use the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NullOrigin {
    /// They may not.
    #[default]
    Refused,
    /// They may.
    Allowed,
}

/// Whether pages that any program on this machine serves may use the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoopbackOrigins {
    /// They may.
    #[default]
    Allowed,
    /// They may not, unless they are listed.
    Refused,
}

/// Whether requests need a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TokenRule {
    /// They do not.
    #[default]
    None,
    /// They need the token in the data directory.
    Required,
    /// They need the token in this file, which other daemons have too.
    Shared(PathBuf),
}

impl TokenRule {
    /// The file of the token that other daemons have too.
    pub fn shared(&self) -> Option<&Path> {
        match self {
            Self::Shared(path) => Some(path),
            Self::None | Self::Required => None,
        }
    }
}

/// The files for TLS, each in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The roots of client certificates. Without them, clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

impl Access {
    /// Whether anyone who can reach `address` from another machine could use the daemon.
    pub fn exposes(&self, address: SocketAddr, token: &TokenRule) -> bool {
        let certificates = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        !address.ip().to_canonical().is_loopback() && *token == TokenRule::None && !certificates
    }
}

#[cfg(test)]
mod tests;
