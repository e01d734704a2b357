//! The RAIDA directory: which RAIDA listens at which endpoint. The operator's is a file with one `host:port index`
//! per line; what guardians agree on ranks after it. `docs/protocol.md` section 1.3.

pub mod guardian;

use std::net::{IpAddr, SocketAddr};

use crate::RaidaIndex;
use crate::text::number;

/// A line of a directory file, with an unresolved host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// A name, or an address; IPv6 without its brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// The RAIDA that listens there.
    pub raida: RaidaIndex,
}

/// A line of a directory file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not `host:port index` with an index from 0 to 24: {text:?}")]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: usize,
    pub text: String,
}

/// Reads the text of a directory file. Empty lines and lines that start with `#` are skipped.
///
/// # Errors
/// [`LineError`]: the first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Line>, LineError> {
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| parse_line(line).ok_or_else(|| LineError { line: at + 1, text: line.into() }))
        .collect()
}

fn parse_line(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace();
    let (host, port) = server(words.next()?)?;
    let raida = number(words.next()?).and_then(RaidaIndex::new)?;
    words.next().is_none().then(|| Line { host: host.into(), port, raida })
}

/// Host and port, of IPv6 without the brackets.
fn server(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { None } else { Some((host, number(port)?)) }
}

/// A directory with resolved hosts.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    entries: Vec<(SocketAddr, RaidaIndex)>,
    others: Vec<(SocketAddr, RaidaIndex)>,
    agreed: Vec<(SocketAddr, RaidaIndex)>,
}

impl Directory {
    /// A directory of these endpoints.
    pub fn new(entries: Vec<(SocketAddr, RaidaIndex)>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// The same with further addresses of the RAIDAs' names.
    #[must_use]
    pub fn with_others(self, others: Vec<(SocketAddr, RaidaIndex)>) -> Self {
        Self { others, ..self }
    }

    /// The same with what guardians agree on, which counts only for endpoints that the operator's file does not list.
    #[must_use]
    pub fn with_agreed(self, agreed: Vec<(SocketAddr, RaidaIndex)>) -> Self {
        Self { agreed, ..self }
    }

    /// The same with the guardians' part of `other`.
    #[must_use]
    pub fn with_agreed_of(self, other: &Self) -> Self {
        self.with_agreed(other.agreed.clone())
    }

    /// An endpoint for each line, in the order of the file.
    pub fn entries(&self) -> &[(SocketAddr, RaidaIndex)] {
        &self.entries
    }

    /// Whether the operator's file lists the RAIDA at this very endpoint.
    pub fn lists(&self, endpoint: SocketAddr, raida: RaidaIndex) -> bool {
        self.entries.iter().chain(&self.others).any(|entry| *entry == (endpoint, raida))
    }

    /// The RAIDA at an endpoint according to the operator's file: by endpoint, otherwise by host if that host has
    /// only one RAIDA.
    pub fn index_of(&self, endpoint: SocketAddr) -> Option<RaidaIndex> {
        index_in(self.entries.iter().chain(&self.others), endpoint)
    }

    /// The same according to the guardians.
    pub fn agreed_index_of(&self, endpoint: SocketAddr) -> Option<RaidaIndex> {
        index_in(self.agreed.iter(), endpoint)
    }
}

fn index_in<'a>(
    known: impl Iterator<Item = &'a (SocketAddr, RaidaIndex)> + Clone,
    endpoint: SocketAddr,
) -> Option<RaidaIndex> {
    let exact = known.clone().find(|(known, _)| *known == endpoint);
    exact.map(|(_, raida)| *raida).or_else(|| only_raida_at(known, endpoint.ip()))
}

fn only_raida_at<'a>(
    known: impl Iterator<Item = &'a (SocketAddr, RaidaIndex)>,
    host: IpAddr,
) -> Option<RaidaIndex> {
    let mut raidas = known.filter(|(known, _)| known.ip() == host).map(|(_, raida)| *raida);
    let first = raidas.next()?;
    raidas.all(|raida| raida == first).then_some(first)
}

#[cfg(test)]
mod tests;
