//! What the daemon makes of DNS: the targets of SRV records, the texts of TXT records, and the servers of a `resolv.conf`. The
//! library reads the messages; what is made of them has to be all that they say, in order, and nothing else.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::rdata::{SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use rke_engine::discovery::{Target, testing};
use rke_engine::model::server_name::ServerName;
use rke_fuzz::corpus;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_proto::records::Records;

rke_fuzz::target!(dns_response, check_response);
rke_fuzz::target!(txt_strings, check_strings);
rke_fuzz::target!(resolver_file, check_resolver_file);

/// Targets that are tried.
const MOST_TRIED: usize = 8;

/// Good is a response that names a target.
fn check_response(bytes: &[u8]) -> bool {
    let Ok(message) = Message::from_vec(bytes) else { return false };
    let records: Vec<RData> = message.answers.iter().map(|record| record.data.clone()).collect();
    let targets = testing::targets(&records);
    let order = |target: &Target| (target.priority, u16::MAX - target.weight);
    assert!(targets.is_sorted_by_key(order));
    let found: BTreeSet<_> = targets.iter().map(fields).collect();
    assert_eq!(found.len(), targets.len(), "each is there once");
    assert_eq!(found, records.iter().filter_map(named).collect());
    check_turns(&targets, bytes);
    !targets.is_empty()
}

type Fields = (u16, u16, String, u16);

fn fields(target: &Target) -> Fields {
    (target.priority, target.weight, target.server.host.clone(), target.server.port)
}

/// What a record names. The root stands for no server.
fn named(record: &RData) -> Option<Fields> {
    let RData::SRV(srv) = record else { return None };
    let name = srv.target.to_lowercase().to_ascii();
    let host = name.strip_suffix('.').unwrap_or(&name);
    (!host.is_empty()).then(|| (srv.priority, srv.weight, host.to_owned(), srv.port))
}

/// Whatever is drawn, each target has its turn once, and none before one of a lower priority. The bytes are the draws.
fn check_turns(targets: &[Target], bytes: &[u8]) {
    let mut draws = bytes.iter().rev().cycle();
    let draw = |most: u32| draws.next().map_or(0, |byte| u32::from(*byte) * most / 255);
    let turns = testing::in_turn(targets.to_vec(), draw);
    assert_eq!(turns.len(), targets.len().min(MOST_TRIED));
    let mut left: Vec<(u16, &ServerName)> =
        targets.iter().map(|target| (target.priority, &target.server)).collect();
    for server in turns {
        let lowest = left.iter().map(|(priority, _)| *priority).min();
        let at = left.iter().position(|(priority, of)| Some(*priority) == lowest && **of == server);
        left.remove(at.expect("one of the lowest priority that has not had its turn"));
    }
}

/// A text says the same in however many strings it is sent. Good is one that gives no warning.
fn check_strings(bytes: &[u8]) -> bool {
    let text = |len: usize| {
        let strings: Vec<&[u8]> = bytes.chunks(len).collect();
        testing::text(&RData::TXT(TXT::from_bytes(strings))).expect("the text of a TXT record")
    };
    let whole = String::from_utf8_lossy(bytes).into_owned();
    for len in [1, 2, 3, 7, 255] {
        assert_eq!(text(len), whole, "in strings of {len} bytes");
    }
    let sets = Records::parse([whole.as_str()]).key_sets(&Directory::default(), Reach::Everywhere);
    sets.warnings.is_empty() && !sets.all.is_empty()
}

/// Good is a file that names a server.
fn check_resolver_file(bytes: &[u8]) -> bool {
    let servers = testing::dns_servers(bytes);
    let distinct: BTreeSet<&SocketAddr> = servers.iter().collect();
    assert!(!servers.is_empty() && distinct.len() == servers.len(), "{servers:?}");
    let text = String::from_utf8_lossy(bytes);
    let named: Vec<IpAddr> = text.lines().filter_map(nameserver).collect();
    for server in &servers {
        assert_eq!(server.port(), 53);
        assert!(server.ip().is_loopback() || named.contains(&server.ip()), "{server} is not named");
    }
    named.first().is_some_and(|first| servers[0].ip() == *first)
}

/// The server that a line names.
fn nameserver(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then_some(())?;
    words.next()?.split(['%', '#', ';']).next()?.parse().ok()
}

fn response(records: Vec<RData>) -> Vec<u8> {
    let name = Name::from_ascii("_rke._udp.content.rke.test.").expect("a name");
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.answers = records.into_iter().map(|data| Record::from_rdata(name.clone(), 60, data)).collect();
    message.to_vec().expect("bytes")
}

#[test]
fn the_corpora_have_what_servers_and_systems_say() {
    let srv = |priority, weight, host: &str| {
        RData::SRV(SRV::new(priority, weight, 443, Name::from_ascii(host).expect("a name")))
    };
    let txt = RData::TXT(TXT::new(vec!["k1 = CS".into(), "\n192.0.2.7:50007 k1 raida=7".into()]));
    let many = (0..12).map(|at| srv(at / 5, at, &format!("CS{at}.Rke.test."))).collect();
    let file = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    let text = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    corpus::holds(
        "dns_response",
        vec![
            file("good_one", response(vec![srv(1, 0, "cs.rke.test.")])),
            file("good_twice", response(vec![srv(1, 0, "cs.rke.test."), srv(1, 0, "CS.rke.test.")])),
            file("good_many", response(many)),
            file("good_with_texts", response(vec![txt.clone(), srv(0, 9, "a_b.test."), srv(0, 9, ".")])),
            file("refused_root", response(vec![srv(0, 0, ".")])),
            file("refused_texts", response(vec![txt])),
            file("refused_empty", response(Vec::new())),
            file("refused_cut", vec![0; 11]),
        ],
    );
    corpus::holds(
        "txt_strings",
        vec![
            text("good_domain", "k1 = CS\n192.0.2.7:50007 k1 raida=7\n"),
            text("refused_umlaut", "k1 = M\u{fc}nchen\n"),
            file("refused_not_utf8", b"k1 = CS\n\xC3".to_vec()),
            text("refused_empty", ""),
        ],
    );
    corpus::holds(
        "resolver_file",
        vec![
            text("good_one", "nameserver 192.0.2.1\n"),
            text(
                "good_three",
                "# by hand\nsearch a.test\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\nnameserver 192.0.2.1\noptions ndots:5\n",
            ),
            text("good_zone", "nameserver fe80::1%1\n"),
            text("good_unknown_words", "nameserver 192.0.2.1\nfoo bar\noptions unknown:1\n"),
            text("refused_none", "search a.test\n"),
            text("refused_name", "nameserver dns.example\n"),
            text("refused_empty", ""),
        ],
    );
}
