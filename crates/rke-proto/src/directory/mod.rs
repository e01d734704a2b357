//! The RAIDA directory: which RAIDA stands behind which endpoint. The operator's is a file with one `host:port index` a
//! line; what guardians agree on comes after it. `docs/protocol.md` section 1.3.

pub mod guardian;

use std::net::{IpAddr, SocketAddr};

use crate::RaidaIndex;
use crate::text::number;

/// A line of a directory file, its host not resolved yet.
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
    /// The line.
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

/// A directory whose hosts are resolved.
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

    /// The same, which also knows the RAIDAs at further addresses of its names.
    #[must_use]
    pub fn with_others(self, others: Vec<(SocketAddr, RaidaIndex)>) -> Self {
        Self { others, ..self }
    }

    /// The same with what guardians agree on, which counts only where the operator's file says nothing.
    #[must_use]
    pub fn with_agreed(self, agreed: Vec<(SocketAddr, RaidaIndex)>) -> Self {
        Self { agreed, ..self }
    }

    /// The same with what guardians agree on as `other` has it.
    #[must_use]
    pub fn with_agreed_of(self, other: &Self) -> Self {
        self.with_agreed(other.agreed.clone())
    }

    /// An endpoint for each line, in the order of the file.
    pub fn entries(&self) -> &[(SocketAddr, RaidaIndex)] {
        &self.entries
    }

    /// The RAIDA at an endpoint, as the operator's file says: by endpoint, else by host where the host stands for one RAIDA
    /// only.
    pub fn index_of(&self, endpoint: SocketAddr) -> Option<RaidaIndex> {
        index_in(self.entries.iter().chain(&self.others), endpoint)
    }

    /// The same, as guardians say.
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
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_both_kinds_of_addresses() {
        let text = "# ours\nraida0.example:50000 0\n\n192.0.2.7:50007 7\r\n[2001:db8::7]:50007  8 ";
        let hosts: Vec<_> = parse(text).into_iter().flatten().map(|line| (line.host, line.port)).collect();
        assert_eq!(hosts.len(), 3);
        assert_eq!(hosts[2], ("2001:db8::7".into(), 50007));
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        for bad in ["x:1 25", "x 1", "x:1", ":1 1", "x:70000 1", "x:1 1 1", "x:1 -1", "x:1 +1", "x:+1 1"] {
            assert_eq!(parse(&format!("a:1 1\n{bad}")).map_err(|e| e.line), Err(2), "{bad}");
        }
    }

    #[test]
    fn finds_by_endpoint_then_by_a_host_that_is_unambiguous() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| unreachable!());
        let raida = |index| RaidaIndex::new(index).unwrap_or_else(|| unreachable!());
        let directory = Directory::new(vec![
            (at("127.0.0.1:1"), raida(1)),
            (at("127.0.0.1:2"), raida(2)),
            (at("192.0.2.3:3"), raida(3)),
        ]);
        assert_eq!(directory.index_of(at("127.0.0.1:2")), Some(raida(2)));
        assert_eq!(directory.index_of(at("127.0.0.1:9")), None);
        assert_eq!(directory.index_of(at("192.0.2.3:9")), Some(raida(3)));
        let directory = directory.with_others(vec![(at("[2001:db8::3]:3"), raida(3))]);
        assert_eq!(directory.index_of(at("[2001:db8::3]:3")), Some(raida(3)));
        assert_eq!(directory.entries().len(), 3);
        let agreed =
            directory.clone().with_agreed(vec![(at("127.0.0.1:2"), raida(9)), (at("192.0.2.4:4"), raida(4))]);
        assert_eq!(
            (agreed.index_of(at("127.0.0.1:2")), agreed.index_of(at("192.0.2.4:4"))),
            (Some(raida(2)), None)
        );
        assert_eq!(agreed.agreed_index_of(at("192.0.2.4:9")), Some(raida(4)));
        assert_eq!(directory.with_agreed_of(&agreed).agreed_index_of(at("192.0.2.4:4")), Some(raida(4)));
    }
}
