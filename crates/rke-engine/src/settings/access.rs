//! Who may use the daemon, as settings: the names it answers to, the web origins it lets in, the
//! token, the unix socket and the client certificates. Nothing is opened up unless it is asked for,
//! but for pages that this machine serves itself.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The settings of the gate in front of the API, and of TLS, which a reload may change.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Names and addresses in `Host` that are answered beside those of loopback.
    pub allow_hosts: Vec<String>,
    /// Web origins that may use the API beside those of loopback.
    pub allow_origins: Vec<String>,
    /// Pages whose origin is `null`.
    pub null_origin: NullOrigin,
    /// Pages from loopback origins.
    pub loopback_origins: LoopbackOrigins,
    /// The folder that wallets must lie in; anywhere where there is none.
    pub wallet_root: Option<PathBuf>,
    /// Serve TLS in place of plain TCP. A reload may change the files, but not whether there are any.
    pub tls: Option<TlsFiles>,
}

/// A unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where it lies.
    pub path: PathBuf,
    /// The number of the group whose members may use it too. Without one only the daemon's user and root may.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenRule {
    /// They need none.
    #[default]
    None,
    /// They need the one in the data directory.
    Required,
}

/// The files that TLS takes, each in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The roots of client certificates. Where there are none, clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

impl Access {
    /// Whether everybody who reaches `address` could use the daemon although they are not on this
    /// machine.
    pub fn exposes(&self, address: SocketAddr, token: TokenRule) -> bool {
        let certificates = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        !address.ip().to_canonical().is_loopback() && token == TokenRule::None && !certificates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_something_must_tell_clients_apart() {
        let open = Access::default();
        let tls = |client_ca: Option<&str>| Access {
            tls: Some(TlsFiles {
                certificate: "c".into(),
                key: "k".into(),
                client_ca: client_ca.map(PathBuf::from),
            }),
            ..Access::default()
        };
        for (address, exposed) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.168.1.5:1", true),
            ("[::ffff:10.0.0.1]:1", true),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(open.exposes(address, TokenRule::None), exposed, "{address}");
            assert_eq!(tls(None).exposes(address, TokenRule::None), exposed, "{address}");
            assert!(!open.exposes(address, TokenRule::Required), "{address}");
            assert!(!tls(Some("a")).exposes(address, TokenRule::None), "{address}");
        }
    }
}
