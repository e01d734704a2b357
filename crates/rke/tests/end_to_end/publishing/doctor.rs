//! `rke doctor --records`: each finding, with the records in a real DNS server.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rke_proto::directory::Directory;
use rke_proto::{ContentServerId, Form, KeySetId, RaidaIndex};
use rke_raida::content_server::{DnsRecords, KeyRing, RecordFormat};
use serde_json::Value;

use super::server::Server;
use crate::dev::{Done, rke};
use crate::doctor::{findings, says};
use crate::support::{DOMAIN, again_blocking};

const HOST: &str = "cs1.example.com";

/// A case: what is in DNS, the data folder that it is compared with, and what is found.
struct Case {
    records: fn(DnsRecords) -> String,
    data_dir: &'static str,
    verdict: &'static str,
    check: &'static str,
    text: &'static str,
}

const fn case(
    records: fn(DnsRecords) -> String,
    data_dir: &'static str,
    (verdict, check): (&'static str, &'static str),
    text: &'static str,
) -> Case {
    Case { records, data_dir, verdict, check, text }
}

/// Lines of dnsmasq's configuration.
fn lines(records: &DnsRecords) -> String {
    records.write(RecordFormat::Dnsmasq, 0)
}

/// The records as they were printed.
fn as_printed(records: DnsRecords) -> String {
    lines(&records)
}

/// With another text in place of one.
fn with(records: DnsRecords, text: &str, other: &str) -> String {
    let texts = records.texts.iter().map(|own| own.replace(text, other)).filter(|own| !own.is_empty());
    lines(&DnsRecords { texts: texts.collect(), ..records })
}

const CASES: &[Case] = &[
    case(as_printed, "first", ("ok", "data"), "has k1 of SHOP"),
    case(as_printed, "first", ("ok", "srv"), "the SRV record names cs1.example.com:443"),
    case(as_printed, "first", ("ok", "key sets"), "k1 is published and in service"),
    case(as_printed, "first", ("ok", "form"), "have `required share-bytes>=32`, as k1 needs"),
    case(as_printed, "first", ("ok", "raidas"), "the 25 RAIDAs of k1 are where the directory has them"),
    case(
        |_| String::new(),
        "first",
        ("fail", "dns"),
        "is not found: DNS has no name _rke._udp.content.rke.test",
    ),
    case(
        |records| lines(&records).split_once('\n').expect("lines").1.into(),
        "first",
        ("fail", "dns"),
        "has no SRV record",
    ),
    case(
        |records| lines(&DnsRecords { texts: vec![], ..records }),
        "first",
        ("fail", "dns"),
        "has no TXT record",
    ),
    case(
        |records| lines(&DnsRecords { host: "old.example.com".into(), ..records }),
        "first",
        ("fail", "srv"),
        "names old.example.com:443, not cs1.example.com:443",
    ),
    case(
        |records| lines(&DnsRecords { port: 444, ..records }),
        "first",
        ("fail", "srv"),
        "names cs1.example.com:444, not cs1.example.com:443",
    ),
    case(
        |records| format!("{}\nsrv-host=_rke._udp.{},old.example.com,443", lines(&records), records.domain),
        "first",
        ("warn", "srv"),
        "an SRV record names old.example.com:443 as well",
    ),
    case(
        |records| with(records, "= SHOP", "= OTHER"),
        "first",
        ("fail", "key sets"),
        "k1 is published with the Content Server ID OTHER",
    ),
    case(|records| with(records, "k1", "k9"), "first", ("fail", "key sets"), "k9 is published, and "),
    case(
        |records| with(records, "k1 = SHOP", ""),
        "first",
        ("fail", "key sets"),
        "no usable key set: a key set needs 13 RAIDA servers with a known index, and there is none",
    ),
    case(
        as_printed,
        "retired",
        ("fail", "key sets"),
        "k1 is published, and has retired at 1970-01-01T00:00:01Z",
    ),
    case(as_printed, "retired", ("fail", "key sets"), "k2 is in service, and not published"),
    case(as_printed, "retiring", ("warn", "key sets"), "k1 is published, and retires at 20"),
    case(as_printed, "retiring", ("warn", "key sets"), "k2 is in service, and not published"),
    case(
        |records| with(records, "k1", "k2"),
        "retiring",
        ("ok", "key sets"),
        "k2 is published and in service",
    ),
    case(as_printed, "left", ("fail", "key sets"), "k1 is published, and too few RAIDAs have been given it"),
    case(
        |records| with(records, "share-bytes>=32", "handshake>=3"),
        "first",
        ("fail", "form"),
        "the TXT records have `required handshake>=3`, and k1 needs `required share-bytes>=32`",
    ),
    case(
        |records| with(records, "required share-bytes>=32", ""),
        "first",
        ("fail", "form"),
        "no line that requires shares or a handshake, and k1 needs",
    ),
    case(
        |records| with(records, "share-bytes>=32", "share-bytes>=many"),
        "first",
        ("fail", "form"),
        "a TXT record may require something, and cannot be read",
    ),
    case(
        |records| with(records, "required raidas>=13", "hello"),
        "first",
        ("warn", "dns"),
        "left out: not understood: hello",
    ),
    case(
        |records| with(records, "192.0.2.7:50000 ", "192.0.2.77:50000 "),
        "first",
        ("fail", "raidas"),
        "RAIDA 7 is published at 192.0.2.77:50000, not 192.0.2.7:50000",
    ),
    case(as_printed, "nothing", ("fail", "data"), "nothing: No such file or directory"),
    case(as_printed, "empty", ("fail", "data"), "empty has no key set"),
];

fn number(key_set: u8) -> KeySetId {
    KeySetId::new(key_set).expect("a key set")
}

fn ring(dir: &Path, name: &str, cs_id: &str) -> KeyRing {
    let cs_id = ContentServerId::new(cs_id).expect("an ID");
    // A process that another test is starting has this one's files, locks included, until it becomes another program.
    again_blocking(|| KeyRing::open(cs_id, &dir.join(name)).map_err(|error| error.to_string()))
}

/// A folder in which k1 retires at that time, and k2 follows it.
fn rotated(dir: &Path, name: &str, retires_at: u64) {
    let mut keys = ring(dir, name, "SHOP");
    for key_set in [1, 2].map(number) {
        keys.open_or_make(key_set, Form::Wide).expect("a key set");
        keys.note_preloaded(key_set, RaidaIndex::all().collect(), 0).expect("noted");
    }
    keys.retire_below(number(2), retires_at).expect("retired");
}

/// The folders of all cases, and the records of k1.
fn prepare(dir: &Path) -> DnsRecords {
    let endpoint = |raida: RaidaIndex| ([192, 0, 2, raida.get()], 50000).into();
    let directory = Directory::new(RaidaIndex::all().map(|raida| (endpoint(raida), raida)).collect());
    let file = directory.entries().iter().map(|(endpoint, raida)| format!("{endpoint} {raida}\n"));
    fs::write(dir.join("raidas.txt"), file.collect::<String>()).expect("written");
    fs::create_dir(dir.join("empty")).expect("a folder");
    let tomorrow = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() + 86400;
    rotated(dir, "retired", 1);
    rotated(dir, "retiring", tomorrow);
    ring(dir, "left", "SHOP").open_or_make(number(1), Form::Wide).expect("a key set");
    let mut keys = ring(dir, "first", "SHOP");
    let secrets = keys.open_or_make(number(1), Form::Wide).expect("a key set");
    keys.note_preloaded(number(1), RaidaIndex::all().collect(), 0).expect("noted");
    secrets.records(Form::Wide, DOMAIN, (HOST, 443), &directory)
}

/// What doctor finds, and its exit code.
fn examine(dir: &Path, data_dir: &str, more: &[&str]) -> (Option<i32>, Value) {
    let words = ["doctor", "--json", "--records", DOMAIN, "--data-dir", data_dir];
    let done: Done =
        rke(&[&words[..], more].concat(), dir).current_dir(dir).output().expect("rke runs").into();
    (done.code, serde_json::from_str(&done.text()).unwrap_or_else(|_| panic!("{}", done.err)))
}

#[test]
fn each_difference_between_dns_and_the_key_sets_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = prepare(dir.path());
    for Case { records: change, data_dir, verdict, check, text } in CASES {
        let server = Server::dnsmasq(dir.path(), &change(records.clone()));
        let dns = server.address.to_string();
        let named =
            ["--host", HOST, "--port", "443", "--raida-directory", "raidas.txt", "--dns-server", &dns];
        let (code, json) = examine(dir.path(), data_dir, &named);
        assert!(says(&findings(&json, verdict), check, text), "{text}: {json:#}");
        let failed = findings(&json, "fail").len();
        assert_eq!((code, *verdict == "fail"), (Some(i32::from(failed > 0)), failed > 0), "{text}: {json:#}");
    }
}

#[test]
fn what_stands_in_the_way_of_a_comparison_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    prepare(dir.path());
    ring(dir.path(), "first", "CAFE").open_or_make(number(1), Form::Wide).expect("a key set");
    let nobody = ["--dns-server", "127.0.0.1:1"];
    let of = |cs_id: &'static str| ["--cs-id", cs_id, nobody[0], nobody[1]];
    for (more, check, text) in [
        (&nobody[..], "data", "has the key sets of CAFE, SHOP"),
        (&of("BAR"), "data", "has no key set of BAR; it has those of CAFE, SHOP"),
        (
            &of("SHOP"),
            "dns",
            "SRV look-up of _rke._udp.content.rke.test: the DNS server 127.0.0.1:1 refuses connections",
        ),
        (
            &[&of("SHOP")[..], &["--raida-directory", "missing"]].concat(),
            "raidas",
            "cannot read the RAIDA directory",
        ),
    ] {
        let (code, json) = examine(dir.path(), "first", more);
        assert!(code == Some(1) && says(&findings(&json, "fail"), check, text), "{text}: {json:#}");
    }
    for wrong in [&["--records"][..], &["--records", DOMAIN], &["--host", HOST]] {
        let done: Done = rke(&[&["doctor"], wrong].concat(), dir.path()).output().expect("rke runs").into();
        assert_eq!(done.code, Some(2), "{wrong:?}: {}", done.err);
    }
}
