//! The list of a guardian of the public network: which RAIDA listens where. `docs/protocol.md` section 1.3. Nothing
//! in it is an error by itself: unknown lines are ignored with a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Line, server};
use crate::RaidaIndex;
use crate::reach::Reach;
use crate::text::{number, shown};

/// The limit on warnings about one list. A page that is not a list at all has hundreds of lines.
const MAX_WARNINGS: usize = 10;

/// The primary servers that a guardian lists, in the order of its lines, with unresolved hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardianList {
    /// At most one line for each RAIDA: the first.
    pub lines: Vec<Line>,
    /// What was ignored, and why, for people.
    pub warnings: Vec<String>,
}

impl GuardianList {
    /// Reads a list in either of its forms, which are distinguished line by line: `host:port r7`, and `host:port
    /// 7-x-y-P`. Mirrors (`m7`, and `M` at the end) are skipped, as are comments.
    pub fn parse(text: &str) -> Self {
        let mut list = Self::default();
        let lines = text.lines().map(|line| line.trim().trim_start_matches('\u{feff}'));
        for (at, line) in lines.enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            match read(line) {
                Ok(Some(line)) if list.lines.iter().all(|earlier| earlier.raida != line.raida) => {
                    list.lines.push(line);
                }
                Ok(Some(_)) => list.warn(at, "a second server for the same RAIDA", line),
                Ok(None) => (),
                Err(reason) => list.warn(at, reason, line),
            }
        }
        list
    }

    fn warn(&mut self, at: usize, reason: &str, line: &str) {
        match self.warnings.len() {
            ..MAX_WARNINGS => self.warnings.push(format!("line {}: {reason}: {}", at + 1, shown(line))),
            MAX_WARNINGS => self.warnings.push("and more lines".into()),
            _ => (),
        }
    }
}

/// The server of a line; `None` for a mirror.
fn read(line: &str) -> Result<Option<Line>, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(first), Some(role), None) = (words.next(), words.next(), words.next()) else {
        return Err("not a server and its RAIDA, as in 192.0.2.7:50007 r7");
    };
    let (host, port) = server(first).ok_or("not a server, as in 192.0.2.7:50007")?;
    Ok(primary(role)?.map(|raida| Line { host: host.into(), port, raida }))
}

/// The RAIDA whose primary server it is; `None` for a mirror.
fn primary(role: &str) -> Result<Option<RaidaIndex>, &'static str> {
    let role = role.to_ascii_lowercase();
    let parts: Vec<&str> = role.splitn(5, '-').collect();
    let (digits, is_primary) = match parts[..] {
        [index, _, _, "p"] => (index, true),
        [index, _, _, "m"] => (index, false),
        [_] if role.starts_with('r') => (&role[1..], true),
        [_] if role.starts_with('m') => (&role[1..], false),
        _ => return Err("not a RAIDA, as in r7 or 7-0-0-P"),
    };
    let raida = number(digits).and_then(RaidaIndex::new).ok_or("no such RAIDA index")?;
    Ok(is_primary.then_some(raida))
}

/// The usable endpoints of a list with resolved hosts. An endpoint that is listed for several RAIDAs counts for none
/// of them.
pub fn usable(
    resolved: Vec<(SocketAddr, RaidaIndex)>,
    reach: Reach,
    warnings: &mut Vec<String>,
) -> Vec<(SocketAddr, RaidaIndex)> {
    let mut indexes = BTreeMap::<SocketAddr, BTreeSet<RaidaIndex>>::new();
    for (endpoint, raida) in resolved {
        indexes.entry(endpoint).or_default().insert(raida);
    }
    let mut usable = Vec::new();
    for (endpoint, raidas) in indexes {
        let several = (raidas.len() > 1).then_some("one endpoint for several RAIDAs");
        match reach.fault(endpoint).or(several) {
            Some(fault) => warnings.push(format!("{fault}: {endpoint}")),
            None => usable.extend(raidas.into_iter().map(|raida| (endpoint, raida))),
        }
    }
    usable
}

#[cfg(test)]
mod tests;
