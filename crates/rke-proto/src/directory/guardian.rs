//! What a guardian of the public network says: which RAIDA listens where. `docs/protocol.md` section 1.3. Nothing in it is
//! an error by itself: what is not understood is left out with a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Line, server};
use crate::RaidaIndex;
use crate::reach::Reach;
use crate::text::{number, shown};

/// Most warnings about one list. A page that is no list at all has hundreds of lines.
const MAX_WARNINGS: usize = 10;

/// The primary servers that a guardian names, in the order of its lines, their hosts not resolved yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardianList {
    /// At most one line for each RAIDA: the first.
    pub lines: Vec<Line>,
    /// What was left out, and why, for a person to read.
    pub warnings: Vec<String>,
}

impl GuardianList {
    /// Reads a list in either of its forms, which are told apart line by line: `host:port r7`, and `host:port 7-x-y-P`.
    /// Mirrors (`m7`, and `M` at the end) are skipped, as are comments.
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

/// What a line names; nothing where it names a mirror.
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

/// The endpoints of a list whose hosts are resolved that may be used. An endpoint that is said to be several RAIDAs is
/// none of them.
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
mod tests {
    use super::*;

    const HOSTS: &str = "# the RAIDAs\n192.0.2.7:50007 r7\r\n\n[2001:db8::8]:50008 R8\n192.0.2.8:50008 m8\n";
    const COIN: &str =
        "raida7.example:50007 7-0-4-P\n192.0.2.9:50009 9-1-x-p\n192.0.2.10:50010 9-1-x-M\n# end";

    fn named(text: &str) -> Vec<String> {
        let lines = GuardianList::parse(text).lines.into_iter();
        lines.map(|line| format!("{} {} {}", line.host, line.port, line.raida)).collect()
    }

    #[test]
    fn both_forms_are_read_and_mirrors_and_comments_are_skipped() {
        assert_eq!(named(HOSTS), ["192.0.2.7 50007 7", "2001:db8::8 50008 8"]);
        assert_eq!(named(COIN), ["raida7.example 50007 7", "192.0.2.9 50009 9"]);
        for text in [HOSTS, COIN, ""] {
            assert!(GuardianList::parse(text).warnings.is_empty(), "{text}");
        }
        assert_eq!(named(&format!("\u{feff}{HOSTS}{COIN}")).len(), 3, "the forms may be mixed");
    }

    #[test]
    fn what_cannot_be_read_is_skipped_and_said() {
        for (line, reason) in [
            ("192.0.2.1:1", "not a server and its RAIDA"),
            ("192.0.2.1:1 r1 r2", "not a server and its RAIDA"),
            ("192.0.2.1 r1", "not a server,"),
            ("192.0.2.1:70000 r1", "not a server,"),
            (":1 r1", "not a server,"),
            ("192.0.2.1:1 1", "not a RAIDA"),
            ("192.0.2.1:1 x1", "not a RAIDA"),
            ("192.0.2.1:1 1-0-P", "not a RAIDA"),
            ("192.0.2.1:1 1-0-0-Q", "not a RAIDA"),
            ("192.0.2.1:1 r", "no such RAIDA index"),
            ("192.0.2.1:1 r25", "no such RAIDA index"),
            ("192.0.2.1:1 m25", "no such RAIDA index"),
            ("192.0.2.1:1 r+1", "no such RAIDA index"),
            ("192.0.2.1:1 25-0-0-P", "no such RAIDA index"),
            ("192.0.2.1:1 r999999999999999999999", "no such RAIDA index"),
            ("192.0.2.1:1 r7", "a second server for the same RAIDA"),
        ] {
            let list = GuardianList::parse(&format!("192.0.2.7:50007 r7\n{line}\n192.0.2.8:50008 r8"));
            assert_eq!(list.lines.len(), 2, "{line}");
            assert!(list.warnings[0].starts_with(&format!("line 2: {reason}")), "{:?}", list.warnings);
            assert_eq!(list.warnings.len(), 1);
        }
        let page = "<p>no list</p>\n".repeat(100);
        assert_eq!(GuardianList::parse(&page).warnings.len(), MAX_WARNINGS + 1);
    }

    #[test]
    fn there_is_one_server_for_each_raida_at_most() {
        let many: String = (0..60).map(|at| format!("192.0.2.{at}:50000 r{at}\n")).collect();
        let list = GuardianList::parse(&format!("{many}{many}"));
        assert_eq!(list.lines.len(), 25);
    }

    #[test]
    fn a_list_that_is_cut_or_altered_at_any_byte_is_read_as_far_as_it_goes() {
        for text in [HOSTS, COIN] {
            for cut in 0..=text.len() {
                assert!(GuardianList::parse(&text[..cut]).lines.len() <= 2);
                for byte in [b' ', b':', b'-', b'[', b']', b'r', b'9', b'\n', 0, 0xFF] {
                    let mut altered = text.as_bytes().to_vec();
                    altered.insert(cut, byte);
                    assert!(GuardianList::parse(&String::from_utf8_lossy(&altered)).lines.len() <= 3);
                }
            }
        }
    }

    #[test]
    fn addresses_that_dns_may_not_name_a_guardian_may_not_either() {
        let raida = |index| RaidaIndex::new(index).unwrap_or_else(|| unreachable!());
        let at = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| unreachable!());
        let named = |reach| {
            let resolved = vec![
                (at("8.8.8.8:1"), raida(1)),
                (at("8.8.8.8:1"), raida(2)),
                (at("8.8.8.9:3"), raida(3)),
                (at("8.8.8.9:3"), raida(3)),
                (at("127.0.0.1:4"), raida(4)),
                (at("224.0.0.1:5"), raida(5)),
                (at("8.8.8.8:0"), raida(6)),
            ];
            let mut warnings = Vec::new();
            let usable = usable(resolved, reach, &mut warnings);
            (usable.iter().map(|(_, raida)| raida.get()).collect::<Vec<_>>(), warnings.len())
        };
        assert_eq!(named(Reach::Public), (vec![3], 4));
        assert_eq!(named(Reach::Everywhere), (vec![3, 4], 3));
    }
}
