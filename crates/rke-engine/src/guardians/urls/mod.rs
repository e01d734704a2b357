//! The guardians that the operator names, each by the URL of its list.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use rustls::pki_types::ServerName as TlsName;
use url::{Host, Url};

use super::agreement::FEWEST;
use crate::Domain;
use crate::model::server_name::ServerName;

/// Why the guardians cannot be used, for the person who configures them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardianError {
    /// It is not a URL.
    #[error("--guardian {0:?} is not a URL, such as https://guardian.example.com/host.txt")]
    NotAUrl(String),
    /// Anyone on the path could write the list.
    #[error(
        "--guardian {0} has no TLS; name an https:// URL. Only a guardian on this machine may do without, by its address, \
         as in http://127.0.0.1:8000/host.txt"
    )]
    Unprotected(String),
    /// The secret in the URL would appear in the log.
    #[error("--guardian {0:?} has a user or a password in it; name a URL without")]
    Credentials(String),
    /// A site has no list at its root.
    #[error(
        "--guardian {0} names no file; name the list itself, such as https://guardian.example.com/host.txt"
    )]
    NoFile(String),
    /// It would have two votes.
    #[error("--guardian names {0} twice, and each guardian has one vote; keep one of its URLs")]
    Twice(String),
    /// One or two guardians would agree on anything.
    #[error("--guardian names {0}, and at least {FEWEST} guardians have to agree; name more")]
    TooFew(usize),
}

/// A guardian: the URL of its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guardian {
    url: Url,
    server: ServerName,
    /// `None` if it is asked without TLS.
    name: Option<TlsName<'static>>,
}

impl Guardian {
    fn parse(text: &str) -> Result<Self, GuardianError> {
        let not_a_url = || GuardianError::NotAUrl(text.into());
        let mut url = Url::parse(text).map_err(|_| not_a_url())?;
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GuardianError::Credentials(text.into()));
        }
        let host = match url.host().ok_or_else(not_a_url)? {
            Host::Domain(name) => Domain::new(name).ok_or_else(not_a_url)?.to_string(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let is_here = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let name = match url.scheme() {
            "https" => Some(TlsName::try_from(host.clone()).map_err(|_| not_a_url())?),
            "http" if is_here => None,
            "http" => return Err(GuardianError::Unprotected(text.into())),
            _ => return Err(not_a_url()),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or_else(not_a_url)?;
        if url.path() == "/" {
            return Err(GuardianError::NoFile(text.into()));
        }
        Ok(Self { url, server: ServerName { host, port }, name })
    }

    /// Where it is asked.
    pub(super) fn server(&self) -> &ServerName {
        &self.server
    }

    /// The name in its certificate; `None` if it is asked without TLS.
    pub(super) fn tls_name(&self) -> Option<&TlsName<'static>> {
        self.name.as_ref()
    }

    /// The target of the request: path and query.
    pub(super) fn target(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// Host and port as written in the URL.
    pub(super) fn authority(&self) -> &str {
        &self.url[url::Position::BeforeHost..url::Position::AfterPort]
    }
}

impl fmt::Display for Guardian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

/// All guardians: none, or at least three at different places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guardians(Vec<Guardian>);

impl Guardians {
    /// The guardians with these URLs.
    ///
    /// # Errors
    /// [`GuardianError`].
    pub fn new(urls: &[String]) -> Result<Self, GuardianError> {
        let guardians = urls.iter().map(|url| Guardian::parse(url.trim())).collect::<Result<Vec<_>, _>>()?;
        let mut places = HashSet::new();
        for guardian in &guardians {
            if !places.insert(&guardian.server) {
                return Err(GuardianError::Twice(guardian.server.to_string()));
            }
        }
        match guardians.len() {
            0 => Ok(Self::default()),
            few @ 1..FEWEST => Err(GuardianError::TooFew(few)),
            _ => Ok(Self(guardians)),
        }
    }

    /// Whether no guardians are configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many guardians are configured.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Guardian> {
        self.0.iter()
    }

    /// Their URLs, sorted, whatever the order in the settings.
    pub(super) fn urls(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        urls.sort_unstable();
        urls
    }
}

#[cfg(test)]
mod tests;
