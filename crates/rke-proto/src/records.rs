//! The TXT records of a Content Server, and the key sets that they give. `docs/protocol.md` section 1.
//! Nothing in DNS text is an error by itself: what is not understood is left out with a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::directory::Directory;
use crate::reach::{Addressee, Reach};
use crate::text::{number, shown};
use crate::{ContentServerId, Form, KeySetId, MIN_REQUIRED, RaidaIndex};

/// A RAIDA server as a record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    endpoint: SocketAddr,
    key_sets: Vec<KeySetId>,
    raida: Option<RaidaIndex>,
}

/// What the TXT records of a domain say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    cs_ids: BTreeMap<KeySetId, ContentServerId>,
    servers: Vec<Server>,
    required: Option<u8>,
    share_bytes: Option<u16>,
    handshake: Option<u16>,
    /// Lines that are left out, each with the reason.
    left_out: Vec<String>,
    /// Lines that are read although they are not written as they should be, each with what is wrong.
    mended: Vec<String>,
    /// The first line that is left out and may be a requirement.
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

/// What the records mean once every server has its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySets {
    /// All key sets, lowest number first.
    pub all: Vec<KeySet>,
    /// The fewest RAIDAs whose shares make a key; 13 or more.
    pub required: u8,
    /// How sessions with this Content Server are opened, `None` where it requires what this version lacks.
    pub form: Option<Form>,
    /// What was left out, and why, for a person to read; after it, what was read although it is not written well.
    pub warnings: Vec<String>,
    /// How many of the warnings are of what was left out.
    pub left_out: usize,
    /// A line that was left out and may require more than the others do.
    pub unclear: Option<String>,
    /// Servers that were left out because nothing says which RAIDA they are.
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
            let plain = mended(line);
            if plain.is_empty() {
                continue;
            }
            if plain != line {
                records
                    .mended
                    .push(format!("quotes and a semicolon at the end do not belong there: {}", shown(line)));
            }
            if let Err(reason) = records.read_line(plain) {
                let warning = format!("{reason}: {}", shown(plain));
                if is_like_a_requirement(plain) {
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
            return self.read_key_set(key_set, mended(cs_id));
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        match first.parse::<SocketAddr>() {
            Ok(endpoint) => self.read_server(endpoint, line),
            Err(_) if self.read_requirement(&line.to_ascii_lowercase())? => Ok(()),
            Err(_) => Err(guess(line, first)),
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

    /// Whether it is a requirement, which is then noted.
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

    /// Gives every server its RAIDA index and sorts the servers into their key sets. Those that may not be asked are left
    /// out: the warnings begin with them.
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
        warnings.extend_from_slice(&self.mended);
        let (form, unclear) = (self.form(), self.unclear.clone());
        KeySets { all, required, form, warnings, left_out, unclear, unindexed }
    }

    /// The servers that may be asked, each with its index if it has one. An addressee that is said to be several RAIDAs is
    /// none: it would get as many requests. Those whose index only guardians give come last, so that they take no place
    /// from one whose index the records or the operator give.
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

    /// What a Content Server requires is never taken for less.
    fn form(&self) -> Option<Form> {
        match (self.share_bytes.unwrap_or(1), self.handshake.unwrap_or(0)) {
            (2..=32, 0..=3) => Some(Form::Wide),
            (0 | 1, 3) => Some(Form::Handshake3Narrow),
            (0 | 1, 0..=2) => Some(Form::Live),
            _ => None,
        }
    }
}

/// The lines of a text. Some people write a backslash and an `n` where a line ends.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split("\\n")).map(str::trim)
}

/// A line or a value without what people put around it: a byte order mark, quotes, semicolons at the end.
fn mended(text: &str) -> &str {
    let is_extra =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{201c}' | '\u{201d}' | '\u{feff}');
    text.trim_start_matches(is_extra).trim_end_matches(|c| is_extra(c) || c == ';')
}

/// Whether a line that is not understood may be meant to require something: then nothing may be taken for less.
fn is_like_a_requirement(line: &str) -> bool {
    let line = line.to_lowercase();
    ["requir", "share", "byte", "handshake", "raidas", ">", "\u{2265}"].iter().any(|sign| line.contains(sign))
}

/// What is wrong with a line that is nothing that there is.
fn guess(line: &str, first: &str) -> &'static str {
    let lower = line.to_lowercase();
    let is_key_set = |word: &str| KeySetId::parse(word.trim_end_matches([':', '-'])).is_some();
    let has_port = first.rsplit_once(':').is_some_and(|(_, port)| number::<u16>(port).is_some());
    if first.parse::<IpAddr>().is_ok() {
        "the server's port is missing, as in 192.0.2.7:50007"
    } else if has_port {
        "a server is named by its address, as in 192.0.2.7:50007"
    } else if is_key_set(first) {
        "a key set is written as in k1 = CONTENT-SERVER01"
    } else if is_like_a_requirement(&lower) {
        "not a requirement that there is; one is written as in required share-bytes>=32"
    } else {
        "not understood"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(texts: &[&str]) -> KeySets {
        Records::parse(texts.iter().copied()).key_sets(&Directory::default(), Reach::Public)
    }

    fn servers(count: u8, key_sets: &str) -> String {
        (0..count).map(|i| format!("192.0.2.{i}:5000 {key_sets} raida={i}\n")).collect()
    }

    #[test]
    fn reads_a_whole_domain() {
        let servers = servers(25, "k1 K2");
        let sets = sets(&[
            "K1 = Content_Server",
            "k2=OTHER",
            &servers,
            "Required RAIDAS >= 15",
            "required share-bytes>=32",
        ]);
        assert_eq!((sets.required, sets.form, sets.warnings.len()), (15, Some(Form::Wide), 0));
        let chosen = sets.choose().map(|set| (set.key_set.get(), set.cs_id.to_string(), set.servers.len()));
        assert_eq!(chosen, Some((1, "Content_Server".into(), 25)));
        assert_eq!(sets.all.len(), 2);
    }

    #[test]
    fn never_requires_fewer_than_13() {
        for (text, required) in [("raidas = 13", 13), ("required raidas>=3", 13), ("raidas=25", 25), ("", 13)]
        {
            assert_eq!(sets(&[text]).required, required, "{text}");
        }
        assert_eq!(sets(&["raidas>=14\nraidas>=20\nraidas>=13"]).required, 20);
    }

    #[test]
    fn sessions_are_live_unless_the_record_asks_for_more() {
        for (text, form) in [
            ("", Some(Form::Live)),
            ("share-bytes = 1", Some(Form::Live)),
            ("required handshake>=2", Some(Form::Live)),
            ("required share-bytes >= 32", Some(Form::Wide)),
            ("required share-bytes>=64", None),
            ("required handshake>=3", Some(Form::Handshake3Narrow)),
            ("required share-bytes>=1\nHandshake = 3", Some(Form::Handshake3Narrow)),
            ("required handshake>=3\nrequired share-bytes>=32", Some(Form::Wide)),
            ("required handshake>=4", None),
            ("required handshake>=4\nrequired share-bytes>=32", None),
        ] {
            assert_eq!(sets(&[text]).form, form, "{text}");
        }
    }

    #[test]
    fn takes_the_lowest_key_set_with_enough_servers() {
        let few = servers(12, "k1");
        let many = servers(13, "k7").replace("192.0.2.", "198.51.100.");
        let chosen = sets(&["k1=A\nk7=B", &few, &many]).choose().map(|set| set.key_set.get());
        assert_eq!(chosen, Some(7));
        assert!(sets(&["k1=A", &few]).choose().is_none());
    }

    #[test]
    fn warns_of_what_it_leaves_out() {
        for (text, warnings) in [
            ("challenge = abc", 1),
            ("v=spf1 -all", 1),
            ("k1 = a-content-server-id-that-is-far-too-long", 1),
            ("k1=A\nk1=B", 1),
            ("k1=A\n192.0.2.1:1 k1", 1),
            ("k1=A\n192.0.2.1:1 k1 raida=25", 1),
            ("k1=A\n192.0.2.1:1 raida=1", 1),
            ("k1=A\n192.0.2.1:1 k1 raida=1\n192.0.2.2:1 k1 raida=1", 1),
            ("192.0.2.1:1 k3 raida=1", 1),
            ("k1=A\n192.0.2.1:1 k1 raida=+1", 1),
            ("raidas>=many", 1),
            ("raidas>=+14", 1),
            ("required share-bytes", 1),
            ("raida7.example:50007 k1", 1),
            ("k1=A\n[2001:db8::7]:50007 k1 raida=7", 0),
        ] {
            assert_eq!(sets(&[text]).warnings.len(), warnings, "{text}");
        }
    }

    #[test]
    fn what_people_put_around_lines_is_taken_off_and_warned_about() {
        let plain = sets(&["k1 = A", &servers(13, "k1"), "required share-bytes>=32"]);
        for (texts, mended) in [
            (vec!["\"k1 = A\"".to_owned(), servers(13, "k1"), "required share-bytes>=32;".into()], 2),
            (
                vec![format!(
                    "k1 = A\\n{}\\nrequired share-bytes>=32",
                    servers(13, "k1").replace('\n', "\\n")
                )],
                0,
            ),
            (
                vec![
                    "\u{feff}k1 = 'A' ;".into(),
                    servers(13, "k1"),
                    "\u{201c}required share-bytes>=32\u{201d};".into(),
                ],
                2,
            ),
        ] {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let found = sets(&texts);
            assert_eq!((&found.all, found.form), (&plain.all, plain.form), "{texts:?}");
            assert_eq!((found.left_out, found.warnings.len()), (0, mended), "{:?}", found.warnings);
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, reason) in [
            ("raida7.example:50007 k1", "a server is named by its address"),
            ("192.0.2.7 k1", "the server's port is missing"),
            ("2001:db8::7 k1", "the server's port is missing"),
            ("k1: CONTENT", "a key set is written as"),
            ("k1 CONTENT", "a key set is written as"),
            ("required sharebytes>=32", "not a requirement that there is"),
            ("v=spf1 -all", "not understood"),
        ] {
            let found = sets(&[line]);
            assert!(found.left_out == 1 && found.warnings[0].starts_with(reason), "{:?}", found.warnings);
            assert!(found.warnings[0].ends_with(line));
        }
    }

    #[test]
    fn a_requirement_with_a_typo_is_not_taken_for_none() {
        for line in [
            "required share_bytes>=32",
            "share bytes >= 32",
            "requird share-bytes=>32",
            "required share-bytes>=many",
            "Handshake: 3",
            "required share-bytes \u{2265} 32",
        ] {
            assert!(sets(&["k1=A", line]).unclear.is_some_and(|shown| shown.contains(": ")), "{line}");
        }
        for line in ["v=spf1 -all", "challenge = abc", "k1 CONTENT", "required share-bytes>=32"] {
            assert_eq!(sets(&["k1=A", line]).unclear, None, "{line}");
        }
    }

    #[test]
    fn servers_that_may_not_be_asked_are_left_out_and_named_first() {
        let victim: String = (0..25).map(|i| format!("198.51.100.7:53 k1 raida={i}\n")).collect();
        let found = sets(&["v=spf1 -all", "k1=A", &victim]);
        assert!(found.choose().is_none() && found.all[0].servers.is_empty());
        let warnings = ["one address for several RAIDAs: 198.51.100.7:53", "not understood: v=spf1 -all"];
        assert_eq!(found.warnings, warnings);
        let good = servers(13, "k1");
        let mixed =
            format!("{good}10.0.0.5:1 k1 raida=20\n[ff02::1]:1 k1 raida=21\n192.0.2.99:0 k1 raida=22");
        let found = sets(&["k1=A", &mixed]);
        assert_eq!((found.all[0].servers.len(), found.warnings.len()), (13, 3));
        assert!(found.warnings[0].contains("--allow-private-raidas"), "{:?}", found.warnings);
        let everywhere = Records::parse(["k1=A", &mixed]).key_sets(&Directory::default(), Reach::Everywhere);
        assert_eq!((everywhere.all[0].servers.len(), everywhere.warnings.len()), (14, 2));
    }

    #[test]
    fn an_addressee_that_is_spelled_in_several_ways_is_one() {
        let keep = |texts: [&str; 2], reach| {
            let texts = [&["k1=A"], &texts[..]].concat();
            Records::parse(texts).key_sets(&Directory::default(), reach).all[0].servers.len()
        };
        // Endpoint by endpoint, as a network on one machine has them.
        for (texts, everywhere) in [
            (["127.0.0.7:4000 k1 raida=1", "[::ffff:127.0.0.7]:4000 k1 raida=2"], 0),
            (["198.51.100.7:4000 k1 raida=1", "[64:ff9b::198.51.100.7]:4000 k1 raida=2"], 0),
            (["198.51.100.7:4000 k1 raida=1", "[2002:c633:6407::1]:4000 k1 raida=2"], 0),
            (["127.0.0.7:4000 k1 raida=1", "[::ffff:127.0.0.7]:4001 k1 raida=2"], 2),
            (["198.51.100.7:4000 k1 raida=1", "198.51.100.7:4001 k1 raida=2"], 2),
        ] {
            assert_eq!(
                (keep(texts, Reach::Public), keep(texts, Reach::Everywhere)),
                (0, everywhere),
                "{texts:?}"
            );
        }
        for apart in [
            ["198.51.100.7:4000 k1 raida=1", "198.51.100.8:4000 k1 raida=2"],
            ["198.51.100.7:4000 k1 raida=1", "[2001:db8::7]:4000 k1 raida=2"],
        ] {
            assert_eq!(keep(apart, Reach::Public), 2, "{apart:?}");
        }
        // All of its ports together are named once.
        let ports: String = (0..25).map(|i| format!("198.51.100.7:{} k1 raida={i}\n", 4000 + i)).collect();
        assert_eq!(sets(&["k1=A", &ports]).warnings, ["one address for several RAIDAs: 198.51.100.7:4000"]);
    }

    #[test]
    fn an_endpoint_of_two_key_sets_is_one_raida() {
        let found = sets(&["k1=A\nk2=B", &servers(13, "k1"), &servers(13, "k2")]);
        assert_eq!((found.all[0].servers.len(), found.all[1].servers.len()), (13, 13));
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }

    #[test]
    fn the_directory_gives_an_endpoint_no_second_index() {
        let endpoint = "192.0.2.9:7".parse().unwrap_or_else(|_| unreachable!());
        let raida = RaidaIndex::new(9).unwrap_or_else(|| unreachable!());
        let directory = Directory::new(vec![(endpoint, raida)]);
        let records = Records::parse(["k1=A\n192.0.2.9:7 k1 raida=8\n192.0.2.9:7 k1"]);
        assert!(records.key_sets(&directory, Reach::Public).all[0].servers.is_empty());
    }

    #[test]
    fn the_directory_names_servers_that_the_record_does_not() {
        let endpoint = "192.0.2.9:7".parse().unwrap_or_else(|_| unreachable!());
        let raida = RaidaIndex::new(9).unwrap_or_else(|| unreachable!());
        let directory = Directory::new(vec![(endpoint, raida)]);
        let sets = Records::parse(["k1=A\n192.0.2.9:7 k1"]).key_sets(&directory, Reach::Public);
        assert_eq!(sets.all[0].servers, [(raida, endpoint)]);
    }

    /// Where guardians say nothing of the first, and of two others something else than the records.
    #[test]
    fn guardians_give_an_index_only_where_nobody_else_does() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| unreachable!());
        let raida = |index| RaidaIndex::new(index).unwrap_or_else(|| unreachable!());
        let agreed = [("192.0.2.1:1", 1), ("192.0.2.2:2", 12), ("192.0.2.3:3", 13), ("192.0.2.4:4", 2)];
        let agreed = agreed.map(|(endpoint, index)| (at(endpoint), raida(index))).to_vec();
        let directory = Directory::new(vec![(at("192.0.2.3:3"), raida(3))]).with_agreed(agreed);
        let texts = ["k1=A", "192.0.2.4:4 k1", "192.0.2.1:1 k1", "192.0.2.2:2 k1 raida=2", "192.0.2.3:3 k1"];
        let sets = |texts: &[&str]| Records::parse(texts.iter().copied()).key_sets(&directory, Reach::Public);
        let found = sets(&texts);
        let expected =
            [(raida(1), at("192.0.2.1:1")), (raida(2), at("192.0.2.2:2")), (raida(3), at("192.0.2.3:3"))];
        assert_eq!(found.all[0].servers, expected, "the record of RAIDA 2 stands behind the other in DNS");
        assert_eq!(found.warnings, ["a second server for RAIDA 2 in k1: 192.0.2.4:4"]);
        // A second line without an index is no second index.
        let found = sets(&["k1=A", "192.0.2.2:2 k1", "192.0.2.2:2 k1 raida=2", "192.0.2.9:9 k1"]);
        assert_eq!(found.all[0].servers, [(raida(2), at("192.0.2.2:2"))]);
        assert_eq!(found.unindexed, 2, "{:?}", found.warnings);
    }
}
