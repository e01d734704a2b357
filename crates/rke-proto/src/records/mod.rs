//! The TXT records of a Content Server, and the key sets in them. `docs/protocol.md` section 1. Nothing in DNS text
//! is an error by itself: unknown lines are ignored with a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::directory::Directory;
use crate::reach::{Addressee, Reach};
use crate::text::{number, shown};
use crate::{ContentServerId, Form, KeySetId, MIN_REQUIRED, RaidaIndex};

/// The name of the service: the records of a domain are at it, in front of the domain.
pub const SERVICE: &str = "_rke._udp";

/// A RAIDA server in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    endpoint: SocketAddr,
    key_sets: Vec<KeySetId>,
    raida: Option<RaidaIndex>,
}

/// The content of a domain's TXT records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    cs_ids: BTreeMap<KeySetId, ContentServerId>,
    servers: Vec<Server>,
    required: Option<u8>,
    share_bytes: Option<u16>,
    handshake: Option<u16>,
    /// Ignored lines, each with the reason.
    left_out: Vec<String>,
    /// Lines that were read in spite of a mistake, each with the mistake.
    trimmed: Vec<String>,
    /// The first ignored line that may be a requirement.
    unclear: Option<String>,
}

/// A key set and the indexed RAIDA servers that hold its master secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// Its number.
    pub key_set: KeySetId,
    /// The Content Server that it belongs to.
    pub cs_id: ContentServerId,
    /// Its servers, at most one for each RAIDA.
    pub servers: Vec<(RaidaIndex, SocketAddr)>,
}

/// The key sets, with the index of every server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySets {
    /// All key sets, lowest number first.
    pub all: Vec<KeySet>,
    /// The smallest number of RAIDAs whose shares make a key; 13 or more.
    pub required: u8,
    /// How sessions with this Content Server are opened, `None` if it requires what this version lacks.
    pub form: Option<Form>,
    /// What was ignored, and why, for people; after that, what was read in spite of a mistake.
    pub warnings: Vec<String>,
    /// How many of the warnings are about ignored lines.
    pub left_out: usize,
    /// An ignored line that may require more than the others do.
    pub unclear: Option<String>,
    /// Ignored servers without a known RAIDA index.
    pub unindexed: usize,
}

impl KeySets {
    /// The key set to use: the lowest-numbered one with enough indexed servers.
    pub fn choose(&self) -> Option<&KeySet> {
        self.all.iter().find(|set| set.servers.len() >= usize::from(self.required))
    }
}

impl Records {
    /// Reads the texts of a domain's TXT records, each with its character-strings joined.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut records = Self::default();
        for line in texts.into_iter().flat_map(lines) {
            let plain = trim_wrapping(line);
            if plain.is_empty() {
                continue;
            }
            if plain != line {
                records
                    .trimmed
                    .push(format!("quotes and a semicolon at the end do not belong there: {}", shown(line)));
            }
            if let Err(reason) = records.read_line(plain) {
                let warning = format!("{reason}: {}", shown(plain));
                if may_be_requirement(plain) {
                    records.unclear.get_or_insert_with(|| warning.clone());
                }
                records.left_out.push(warning);
            }
        }
        records
    }

    fn read_line(&mut self, line: &str) -> Result<(), &'static str> {
        if let Some((key_set, cs_id)) =
            line.split_once('=').and_then(|(name, value)| Some((KeySetId::parse(name.trim())?, value.trim())))
        {
            return self.read_key_set(key_set, trim_wrapping(cs_id));
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        match first.parse::<SocketAddr>() {
            Ok(endpoint) => self.read_server(endpoint, line),
            Err(_) if self.read_requirement(&line.to_ascii_lowercase())? => Ok(()),
            Err(_) => Err(describe_mistake(line, first)),
        }
    }

    fn read_key_set(&mut self, key_set: KeySetId, cs_id: &str) -> Result<(), &'static str> {
        let cs_id = ContentServerId::new(cs_id).ok_or("not a Content Server ID")?;
        match self.cs_ids.insert(key_set, cs_id) {
            Some(earlier) if earlier != cs_id => {
                self.cs_ids.insert(key_set, earlier);
                Err("a second Content Server ID for the same key set")
            }
            _ => Ok(()),
        }
    }

    fn read_server(&mut self, endpoint: SocketAddr, line: &str) -> Result<(), &'static str> {
        let mut server = Server { endpoint, key_sets: Vec::new(), raida: None };
        let mut complaint = Ok(());
        for word in line.split_whitespace().skip(1) {
            let lower = word.to_ascii_lowercase();
            if let Some(key_set) = KeySetId::parse(word) {
                server.key_sets.push(key_set);
            } else if let Some(index) = lower.strip_prefix("raida=") {
                server.raida = number(index).and_then(RaidaIndex::new);
                if server.raida.is_none() {
                    return Err("no such RAIDA index, server left out");
                }
            } else {
                complaint = Err("a word of this server is not understood");
            }
        }
        if server.key_sets.is_empty() {
            return Err("a server without a key set");
        }
        self.servers.push(server);
        complaint
    }

    /// Whether it is a requirement. If so, it is recorded.
    fn read_requirement(&mut self, line: &str) -> Result<bool, &'static str> {
        let words = line.strip_prefix("required").map_or(line, str::trim_start);
        let Some((name, value)) = words.split_once('=') else { return Ok(false) };
        let name = name.strip_suffix('>').unwrap_or(name).trim_end();
        let value = value.trim();
        match name {
            "raidas" => {
                let value = number(value).ok_or("not a number of RAIDAs")?;
                self.required = self.required.max(Some(value));
            }
            "share-bytes" => {
                let value = number(value).ok_or("not a number of bytes")?;
                self.share_bytes = self.share_bytes.max(Some(value));
            }
            "handshake" => {
                let value = number(value).ok_or("not the number of a handshake")?;
                self.handshake = self.handshake.max(Some(value));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Gives every server its RAIDA index and sorts the servers into their key sets. Servers that must not be used
    /// are ignored: the warnings begin with them.
    pub fn key_sets(&self, directory: &Directory, reach: Reach) -> KeySets {
        let mut warnings = Vec::new();
        let usable = self.usable_servers(directory, reach, &mut warnings);
        warnings.extend_from_slice(&self.left_out);
        let unindexed = usable.iter().filter(|(raida, _)| raida.is_none()).count();
        let indexed = self.indexed_servers(usable, &mut warnings);
        let all = self.cs_ids.iter().map(|(key_set, cs_id)| {
            let mut servers = BTreeMap::new();
            for (raida, server) in indexed.iter().filter(|(_, server)| server.key_sets.contains(key_set)) {
                if servers.contains_key(raida) {
                    warnings
                        .push(format!("a second server for RAIDA {raida} in {key_set}: {}", server.endpoint));
                } else {
                    servers.insert(*raida, server.endpoint);
                }
            }
            KeySet { key_set: *key_set, cs_id: *cs_id, servers: servers.into_iter().collect() }
        });
        let all = all.collect();
        let (left_out, required) = (warnings.len(), self.required.unwrap_or(0).max(MIN_REQUIRED));
        warnings.extend_from_slice(&self.trimmed);
        let (form, unclear) = (self.form(), self.unclear.clone());
        KeySets { all, required, form, warnings, left_out, unclear, unindexed }
    }

    /// The usable servers, each with its index if it has one. A recipient that is listed for several RAIDAs counts
    /// for none: it would get several times the requests. Servers whose index comes only from guardians are last, so
    /// that they take no place from one whose index the records or the operator give.
    fn usable_servers<'a>(
        &'a self,
        directory: &Directory,
        reach: Reach,
        warnings: &mut Vec<String>,
    ) -> Vec<(Option<RaidaIndex>, &'a Server)> {
        let given = |server: &Server| server.raida.or_else(|| directory.index_of(server.endpoint));
        let mut indexes = BTreeMap::<Addressee, BTreeSet<RaidaIndex>>::new();
        for server in &self.servers {
            indexes.entry(reach.addressee(server.endpoint)).or_default().extend(given(server));
        }
        let several = match reach {
            Reach::Public => "one address for several RAIDAs",
            Reach::Everywhere => "one endpoint for several RAIDAs",
        };
        let (mut unusable, mut crowded) = (BTreeSet::new(), BTreeSet::new());
        let (mut usable, mut last) = (Vec::new(), Vec::new());
        for server in &self.servers {
            let addressee = reach.addressee(server.endpoint);
            let given_indexes = indexes.get(&addressee).map_or(0, BTreeSet::len);
            let (fault, is_new) = match (reach.fault(server.endpoint), given(server)) {
                (Some(fault), _) => (fault, unusable.insert(server.endpoint)),
                (None, _) if given_indexes > 1 => (several, crowded.insert(addressee)),
                (None, None) if given_indexes == 0 => {
                    last.push((directory.agreed_index_of(server.endpoint), server));
                    continue;
                }
                (None, raida) => {
                    usable.push((raida, server));
                    continue;
                }
            };
            if is_new {
                warnings.push(format!("{fault}: {}", server.endpoint));
            }
        }
        usable.extend(last);
        usable
    }

    fn indexed_servers<'a>(
        &'a self,
        usable: Vec<(Option<RaidaIndex>, &'a Server)>,
        warnings: &mut Vec<String>,
    ) -> Vec<(RaidaIndex, &'a Server)> {
        let mut indexed = Vec::new();
        for (raida, server) in usable {
            match raida {
                Some(raida) => indexed.push((raida, server)),
                None => warnings.push(format!(
                    "no RAIDA index, neither in the record nor in the directory (--guardian or --raida-directory gives one): {}",
                    server.endpoint
                )),
            }
            for key_set in server.key_sets.iter().filter(|key_set| !self.cs_ids.contains_key(key_set)) {
                warnings.push(format!("{key_set} has no Content Server ID: {}", server.endpoint));
            }
        }
        indexed
    }

    /// A Content Server's requirement is never weakened.
    fn form(&self) -> Option<Form> {
        match (self.share_bytes.unwrap_or(1), self.handshake.unwrap_or(0)) {
            (2..=32, 0..=3) => Some(Form::Wide),
            (0 | 1, 3) => Some(Form::Handshake3Narrow),
            (0 | 1, 0..=2) => Some(Form::Live),
            _ => None,
        }
    }
}

/// The lines of a text. Some records have a backslash and an `n` at the end of a line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split("\\n")).map(str::trim)
}

/// A line or a value without common wrapping: a byte order mark, quotes, semicolons at the end.
fn trim_wrapping(text: &str) -> &str {
    let is_extra =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{201c}' | '\u{201d}' | '\u{feff}');
    text.trim_start_matches(is_extra).trim_end_matches(|c| is_extra(c) || c == ';')
}

/// Whether an unknown line may be meant as a requirement. If so, weaker forms are ruled out.
fn may_be_requirement(line: &str) -> bool {
    let line = line.to_lowercase();
    ["requir", "share", "byte", "handshake", "raidas", ">", "\u{2265}"].iter().any(|sign| line.contains(sign))
}

/// What is wrong with an unknown line.
fn describe_mistake(line: &str, first: &str) -> &'static str {
    let lower = line.to_lowercase();
    let is_key_set = |word: &str| KeySetId::parse(word.trim_end_matches([':', '-'])).is_some();
    let has_port = first.rsplit_once(':').is_some_and(|(_, port)| number::<u16>(port).is_some());
    if first.parse::<IpAddr>().is_ok() {
        "the server's port is missing, as in 192.0.2.7:50007"
    } else if has_port {
        "a server is named by its address, as in 192.0.2.7:50007"
    } else if is_key_set(first) {
        "a key set is written as in k1 = CONTENT-SERVER01"
    } else if may_be_requirement(&lower) {
        "not a requirement that there is; one is written as in required share-bytes>=32"
    } else {
        "not understood"
    }
}

#[cfg(test)]
mod tests;
